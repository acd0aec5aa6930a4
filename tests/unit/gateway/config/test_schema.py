"""The schema; and that `configs/README.md` and `configs/example/` say what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from gateway.config import review, schema
from gateway.config.load import VARIABLES, load, load_with_places
from gateway.config.model import Config, Limits, Overrides, Retries, Server
from gateway.config.nodes import from_yaml
from gateway.config.shape import Shaper

CONFIGS = Path(__file__).parents[4] / "configs"
NOW_S = 1_800_000_000


def test_the_schema_in_configs_is_the_one_the_code_makes(capsys: pytest.CaptureFixture[str]) -> None:
    schema.main([])
    written = (CONFIGS / "schema.json").read_text()
    assert written == capsys.readouterr().out, "stale: run `make schema`"


def test_every_section_of_the_configuration_is_in_the_tables() -> None:
    described = {kind.__name__ for _, kind in schema.SECTIONS} | {"Config"}
    assert schema.schema()["$defs"].keys() == described


def test_every_field_says_what_it_means() -> None:
    for _, kind in schema.SECTIONS:
        docs = schema.field_docs(kind)
        for info in msgspec.structs.fields(kind):
            assert docs[info.name].endswith("."), f"{kind.__name__}.{info.name}"


def test_defaults_are_shown_as_they_are_written() -> None:
    definitions = schema.schema()["$defs"]
    assert definitions["Limits"]["properties"]["body"]["default"] == "20MB"
    assert definitions["Retries"]["properties"]["share"]["default"] == "20%"
    assert definitions["Key"]["properties"]["expires"]["type"] == "string"
    assert "default" not in definitions["Model"]["properties"]["served_model"]


@pytest.mark.parametrize("kind", [Server, Limits, Retries])
def test_a_default_as_it_is_shown_is_a_default_as_it_is_read(kind: type[msgspec.Struct]) -> None:
    shown = {
        info.encode_name: schema.default_as_written(info)
        for info in msgspec.structs.fields(kind)
        if info.encode_name not in ("limits", "retries") and info.default is not None
    }
    text = "\n".join(f"{key}: {value}" for key, value in shown.items())
    found: list[str] = []
    built = Shaper({}, lambda path, node, message: found.append(message)).build(kind, from_yaml(text, "f"), ())
    assert built == kind(), found


def test_the_schema_refuses_what_the_gateway_refuses() -> None:
    definitions = schema.schema()["$defs"]
    assert all(part["additionalProperties"] is False for part in definitions.values())
    assert [definitions[name]["required"] for name in ("Model", "Onnx")] == [["backend"], ["kind", "versions"]]
    assert json.loads(json.dumps(schema.schema()))["$ref"] == f"#/$defs/{Config.__name__}"


@pytest.mark.parametrize(("path", "table"), list(schema.tables()), ids=[path for path, _ in schema.tables()])
def test_the_readme_has_every_setting_with_its_default_and_meaning(path: str, table: str) -> None:
    assert f"### `{path}`\n\n{table}\n" in (CONFIGS / "README.md").read_text(), (
        "stale: python -m gateway.config.schema --tables"
    )


def test_the_readme_has_every_flag_with_its_variable() -> None:
    rows = re.findall(
        r"^\| `--([a-z-]+)` \| `(LOCKGATE_[A-Z_]+)` \|", (CONFIGS / "README.md").read_text(), re.MULTILINE
    )
    assert {flag.replace("-", "_"): variable for flag, variable in rows} == dict(VARIABLES)
    assert tuple(VARIABLES) == Overrides.__struct_fields__


def test_the_example_runs_without_a_doubt() -> None:
    config, places = load_with_places(CONFIGS / "example", environ={"VLLM_KEY": "k"})
    assert [places.show(doubt) for doubt in review.doubts(config, NOW_S)] == []


def test_the_example_uses_every_section() -> None:
    config = load(CONFIGS / "example", environ={"VLLM_KEY": "k"})
    for name in set(config.__struct_fields__) - {"webhooks"}:  # commented out: one would need another secret
        assert getattr(config, name)
