from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from gateway.config import schema
from gateway.config.model import Config, Limits, Retries, Server
from gateway.config.nodes import from_yaml
from gateway.config.shape import Shaper

ROOT = Path(__file__).parents[4]


def test_the_schema_in_configs_is_the_one_the_code_makes(capsys: pytest.CaptureFixture[str]) -> None:
    schema.main([])
    written = (ROOT / "configs/schema.json").read_text()
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
        if info.encode_name not in ("limits", "retries")
    }
    text = "\n".join(f"{key}: {value}" for key, value in shown.items())
    found: list[str] = []
    built = Shaper({}, lambda path, node, message: found.append(message)).build(kind, from_yaml(text, "f"), ())
    assert built == kind(), found


def test_the_schema_refuses_what_the_gateway_refuses() -> None:
    definitions = schema.schema()["$defs"]
    assert all(part["additionalProperties"] is False for part in definitions.values())
    assert json.loads(json.dumps(schema.schema()))["$ref"] == f"#/$defs/{Config.__name__}"
