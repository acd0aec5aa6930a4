"""The OpenAPI document completed, and a page that shows it without any script or anything from elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

Document = dict[str, Any]

_FAULTS: Final[Mapping[str, str]] = {
    "400": "The request is not what is taken; `param` names the part.",
    "401": "No token, or one that is not valid.",
    "403": "The principal has no role that allows this.",
    "404": "There is no such thing.",
    "409": "It cannot be done as things stand: `code` says why.",
    "413": "The body is too large.",
    "422": "The idempotency key came with another request before.",
    "429": "Too many wrong tokens came from this address; `retry-after` says when it is listened to again.",
    "503": "The control store, the files or the gateway cannot be asked now.",
}
_ONLY: Final[Mapping[str, tuple[str, ...]]] = {"409": ("post", "patch", "delete"), "422": ("post",)}
"""Statuses that only these methods have; a GET of a meter that names several is a 409 too."""
_HEADERS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "if-match": (("patch", "delete"), "The version (etag) that the entry must have: else 409 with both."),
    "idempotency-key": (("post",), "The same request with the same key is done once, and answered alike for a day."),
    "x-lockgate-reason": (("post", "patch", "delete"), "Why; it is kept in the change log."),
}


def completed(document: Document) -> Document:
    """The document with the token, the errors and the headers that all routes have."""
    components = document.setdefault("components", {})
    if "securitySchemes" in components:  # it is kept by FastAPI, and was completed before
        return document
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["FaultAnswer"] = _FAULT_SCHEMA
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            responses = operation["responses"]
            responses.pop("422", None)
            responses |= {status: _fault(text) for status, text in _FAULTS.items() if _has(status, method, path)}
            operation.setdefault("parameters", []).extend(
                {"name": name, "in": "header", "required": False, "schema": _HEADER_SCHEMAS[name], "description": text}
                for name, (only, text) in _HEADERS.items()
                if method in only
            )
    return document


_FAULT_SCHEMA: Final[Document] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "param"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "param": {"type": ["string", "null"]},
            },
        }
    },
}
_HEADER_SCHEMAS: Final[Mapping[str, Document]] = {
    "if-match": {"type": "string", "pattern": '^(\\*|"?[0-9]{1,18}"?)$'},
    "idempotency-key": {"type": "string", "pattern": "^[!-~]{1,200}$"},
    "x-lockgate-reason": {"type": "string", "maxLength": 500, "pattern": "^[ -~]*$"},
}


def _has(status: str, method: str, path: str) -> bool:
    return method in _ONLY.get(status, (method,)) or (status == "409" and "bucket" in path)


def _fault(text: str) -> Document:
    schema = {"$ref": "#/components/schemas/FaultAnswer"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def page(document: Document) -> str:
    """The document as a page: each route with what it takes and answers."""
    return "".join(_page(document))


_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "h2{border-top:1px solid #ccc;padding-top:1em}code,pre{font-family:ui-monospace,monospace;font-size:.9em}"
    "summary{cursor:pointer;padding:.2em 0}summary b{display:inline-block;width:4.5em}"
    "table{border-collapse:collapse;margin:.5em 0 1em 1em}"
    "td,th{text-align:left;padding:.1em 1.2em .1em 0;vertical-align:top}"
)


def _page(document: Document) -> Iterator[str]:
    info = document["info"]
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>"
    yield f"<style>{_STYLE}</style><h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>"
    yield "<p>Send the token as <code>Authorization: Bearer …</code>. "
    yield "The same as a document for tools: <a href=openapi.json>openapi.json</a>.</p>"
    heading = ""
    for path, method, operation in _operations(document):
        tag = operation["tags"][0]
        if tag != heading:
            yield f"<h2>{escape(tag)}</h2>"
            heading = tag
        yield f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code></summary>"
        yield f"<p>{escape(operation.get('description', ''))}</p>"
        yield from _table("parameter", [_parameter(each) for each in operation["parameters"]])
        yield from _table("body", _fields(document, operation.get("requestBody")))
        good = next(status for status in operation["responses"] if status.startswith("2"))
        yield from _table(f"answer ({good})", _fields(document, operation["responses"][good]))
        yield "</details>"


def _operations(document: Document) -> list[tuple[str, str, Document]]:
    """In the order of their tags as they first come."""
    found = [(path, method, each) for path, methods in document["paths"].items() for method, each in methods.items()]
    tags = list(dict.fromkeys(each["tags"][0] for _, _, each in found))
    return sorted(found, key=lambda each: tags.index(each[2]["tags"][0]))


def _table(head: str, rows: list[tuple[str, str, str]]) -> Iterator[str]:
    if rows:
        yield f"<table><tr><th>{escape(head)}<th>type<th>"
        for row in rows:
            yield "<tr>" + "".join(f"<td>{escape(cell)}" for cell in row)
        yield "</table>"


def _parameter(parameter: Document) -> tuple[str, str, str]:
    return f"{parameter['name']} ({parameter['in']})", _type(parameter["schema"]), parameter.get("description", "")


def _fields(document: Document, holder: Document | None) -> list[tuple[str, str, str]]:
    if not holder or "content" not in holder:
        return []
    schema = next(iter(holder["content"].values()))["schema"]
    found = document["components"]["schemas"].get(_type(schema), schema)
    required = found.get("required", ())
    return [
        (name if name in required else f"{name} (optional)", _type(field), field.get("description", ""))
        for name, field in found.get("properties", {}).items()
    ]


def _type(schema: Document) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_type, schema["anyOf"])))
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("const", schema.get("type", "any")))
