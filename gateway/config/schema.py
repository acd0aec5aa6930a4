"""The JSON schema and the tables of settings, both made from `model`, so that neither can say something else than the
code.

`python -m gateway.config.schema` prints `configs/schema.json`; with `--tables`, the tables of `configs/README.md`.
The meanings are the docstrings under the fields.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from textwrap import dedent
from typing import Any, get_args

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo

from gateway.config import leaves, model, model_chains, model_content, model_meters, model_telemetry
from gateway.config.lines import ClassicLine, KeyLine, ModelLine, TenantLine
from gateway.config.shape import bare
from gateway.config.units_money import money_text

SECTIONS: tuple[tuple[str, type[Struct]], ...] = (
    ("server", model.Server),
    ("server.limits", model.Limits),
    ("server.retries", model.Retries),
    ("server.control", model.Control),
    ("backends.NAME, kind: vllm", model.Vllm),
    ("backends.NAME, kind: v2", model.V2),
    ("backends.NAME.endpoints[]", model.Endpoint),
    ("backends.NAME, kind: embedded", model.Embedded),
    ("backends.NAME, kind: provider", model.Provider),
    ("backends.NAME, kind: fake", model.Fake),
    ("models.NAME", model.Model),
    ("models.NAME.price", model_meters.TokenPrices),
    ("models.NAME, kind: onnx", model.Onnx),
    ("models.NAME.price, kind: onnx", model_meters.CallPrice),
    ("models.NAME.versions.NAME, kind: onnx", model.Version),
    ("models.NAME.schema.NAME, kind: onnx", model.Column),
    ("tenants.NAME", model.Tenant),
    ("tenants.NAME.keys.NAME", model.Key),
    ("tenants.NAME.keys.NAME.previous", model.PreviousKey),
    ("tenants.NAME.projects.NAME", model_meters.Project),
    ("tenants.NAME.content", model_content.Content),
    ("meters[]", model_meters.MeterEntry),
    ("meters[].at.SHARE", model_meters.Downgrade),
    ("webhooks.NAME", model_chains.WebhookTarget),
    ("stores", model_meters.Stores),
    ("stores.records", model_meters.RecordStore),
    ("telemetry", model_telemetry.Telemetry),
    ("telemetry.otlp", model_telemetry.Otlp),
    ("keys*.jsonl", KeyLine),
    ("models*.jsonl", ModelLine),
    ("models*.jsonl, kind: onnx", ClassicLine),
    ("tenants*.jsonl", TenantLine),
)
"""Every section with the path it stands at, in the order of the tables."""


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of a YAML file; `$defs` also has the lines of JSON-lines files."""
    (root, *_), components = msgspec.json.schema_components(
        [model.Config, KeyLine, ModelLine, ClassicLine, TenantLine], ref_template="#/$defs/{name}"
    )
    structs: dict[str, type[Struct]] = {"Config": model.Config} | {kind.__name__: kind for _, kind in SECTIONS}
    for name, component in components.items():
        _complete(component, structs[name])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A configuration file of Lockgate",
        **root,
        "$defs": components,
    }


def tables() -> Iterator[tuple[str, str]]:
    """(path, Markdown table) of every section."""
    for path, kind in SECTIONS:
        docs = field_docs(kind)
        rows = ["| key | default | meaning |", "|---|---|---|"]
        for info in msgspec.structs.fields(kind):
            default = "required" if info.required else f"`{default_as_written(info)}`"
            rows.append(f"| `{info.encode_name}` | {default} | {docs[info.name]} |")
        yield path, "\n".join(rows)


def field_docs(kind: type[Struct]) -> dict[str, str]:
    """The docstring under each field of a struct and of its bases, on one line each."""
    docs: dict[str, str] = {}
    for owner in reversed(
        [base for base in kind.__mro__ if issubclass(base, leaves.Section) and base is not leaves.Section]
    ):
        body = ast.parse(dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                value = ast.literal_eval(text.value)
                docs[field.target.id] = " ".join(str(value).split())
    return docs


def default_as_written(info: FieldInfo) -> str:
    """A field's default as an admin would write it: `20MB`, `20%`, `auto`, `[]`; nothing for None."""
    default = _default(info)
    match _unit(info), default:
        case "size", int(count):
            return next(f"{count // factor}{unit}" for unit, factor in _UNITS if count % factor == 0)
        case "share", float(share):
            return f"{share * 100:g}%"
        case "money", int(nanos):
            return money_text(nanos)
        case _, None:
            return "none"
        case _, tuple() | dict():
            return "[]" if isinstance(default, tuple) else "{}"
        case _, Struct():
            return "{}"
        case _, bool(flag):
            return "true" if flag else "false"
        case _, float(number):
            return f"{number:g}"
    return str(default)


_UNITS = (("GB", 10**9), ("MB", 10**6), ("KB", 10**3), ("B", 1))


def _default(info: FieldInfo) -> Any:
    if info.default is not NODEFAULT:
        return info.default
    return None if info.default_factory is NODEFAULT else info.default_factory()


_WRITTEN: dict[str, dict[str, Any]] = {
    "size": {"type": ["string", "integer"], "examples": ["20MB", "32KiB", 4096]},
    "share": {"type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]+)? ?%$", "examples": ["20%"]},
    "instant": {"type": "string", "examples": ["2027-06-30", "2027-06-30T12:00:00Z"]},
    "digest": {"type": "string", "pattern": "^sha256:[0-9a-fA-F]{64}$"},
    "address": {"type": "string", "examples": ["127.0.0.1:8080", "0.0.0.0:8080"]},
    "url": {"type": "string", "examples": ["http://vllm-0:8000", "unix:///run/model.sock"]},
    "base_url": {"type": "string", "examples": ["https://api.example.com/v1"]},
    "otlp": {"type": "string", "examples": ["http://127.0.0.1:4318", "https://collector.example.com"]},
    "secret": {"type": "string", "examples": ["${VLLM_KEY}"]},
    "money": {"type": "string", "examples": ["$500", "$0.00002"]},
    "token_price": {"type": "string", "examples": ["$0.05/1M", "$2/1K", "$0.0000001/token"]},
    "cap": {"type": "string", "examples": ["$500", "2M output_tokens", "600 requests", "40 concurrent"]},
    "window": {"type": "string", "examples": ["60s", "1h", "day", "week", "month", "lifetime"]},
    "zone": {"type": "string", "examples": ["Europe/Berlin", "UTC"]},
    "thresholds": {
        "type": "object",
        "patternProperties": {
            "^[0-9]{1,3}(\\.[0-9])? ?%$": {
                "anyOf": [{"enum": ["warn", "clamp", "refuse"]}, {"$ref": "#/$defs/Downgrade"}]
            }
        },
        "additionalProperties": False,
        "examples": [{"80%": "warn", "95%": {"downgrade": "small"}, "100%": "refuse"}],
    },
}
"""How values of our units are written, where that is not how they are stored."""


def _complete(component: dict[str, Any], kind: type[Struct]) -> None:
    """Adds what msgspec does not know: meanings, and how our units are written."""
    component["description"] = " ".join(component["description"].split())
    docs = field_docs(kind)
    if kind.__struct_config__.tag == bare(model.AnyModel)[1]["kind"]:
        component["required"].remove(kind.__struct_config__.tag_field)  # the kind of a model that names none
    for info in msgspec.structs.fields(kind):
        prop = component["properties"][info.encode_name]
        unit = _unit(info)
        if unit in _WRITTEN:
            component["properties"][info.encode_name] = prop = dict(_WRITTEN[unit])
            if _default(info) not in (None, {}):
                prop["default"] = default_as_written(info)
        if prop.get("default", ()) is None:
            del prop["default"]  # a key that is simply left out
        prop["description"] = docs[info.name]


def _unit(info: FieldInfo) -> str | None:
    """The unit of a field, also of one that may be None."""
    inner, extra = bare(info.type)
    for member in (inner, *get_args(inner)):
        extra = extra or bare(member)[1]
    return extra.get("unit")


def main(arguments: list[str]) -> None:
    """Prints the schema, or the tables."""
    if arguments == ["--tables"]:
        text = "\n\n".join(f"### `{path}`\n\n{table}" for path, table in tables())
    else:
        text = msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode()
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
