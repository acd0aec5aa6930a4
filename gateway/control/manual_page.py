"""The OpenAPI document as a page, without any script or anything from elsewhere. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from gateway.control import errors

Document = dict[str, Any]
Row = tuple[str, ...]

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em;color:#222}"
    "nav a{margin-right:1em}h2{border-top:1px solid #ccc;padding-top:.8em;margin-bottom:0}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.88em}pre{background:#f5f5f5;padding:.6em;overflow:auto}"
    "details{margin-left:0}summary{cursor:pointer;padding:.25em 0}summary b{display:inline-block;width:4.5em}"
    "summary i{float:right;color:#666;font-style:normal;font-size:.85em}"
    "summary span{display:block;margin-left:5.6em;color:#444}"
    "details>div{margin:0 0 1.5em 1.2em}table{border-collapse:collapse;margin:.5em 0 1em}"
    "td,th{text-align:left;padding:.1em 1.2em .1em 0;vertical-align:top}"
)
_INTRODUCTION: Final = """
<p>Send the token as <code>Authorization: Bearer …</code>. To the right of each request stands the role it takes:
owner includes admin, admin includes operator, operator includes viewer; admin and viewer may be held for one tenant.
The same as a document for tools: <a href=openapi.json>openapi.json</a>.</p>
<pre>curl -H "Authorization: Bearer $LOCKGATE_ADMIN_TOKEN" http://HOST:PORT/admin/whoami</pre>
<ul>
<li>Lists have <code>items</code> and <code>next</code>, which goes into <code>after</code> of the next request;
null on the last page.</li>
<li>PATCH is a merge patch: what is not named stays, null takes away. With <code>if-match</code> it is done only at that
version, which the <code>etag</code> tells.</li>
<li>POST with an <code>idempotency-key</code> is done once; repeated, it is answered alike, without the secret.</li>
<li>What stands in the configuration's files (<code>source: files</code>) is shown here and changed there.</li>
</ul>
"""


def page(document: Document) -> str:
    """The document as a page: each route with who may call it, what it takes and answers, and examples."""
    return "".join(_page(document))


def _page(document: Document) -> Iterator[str]:
    info = document["info"]
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>"
    yield f"<style>{_STYLE}</style><h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>"
    names = [tag["name"] for tag in document["tags"]]
    yield f"<nav>{''.join(f'<a href=#{name}>{name}</a>' for name in (*names, 'errors'))}</nav>"
    yield _INTRODUCTION
    for tag in document["tags"]:
        yield f"<h2 id={tag['name']}>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>"
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if operation["tags"] == [tag["name"]]:
                    yield from _operation(document, method.upper(), path, operation)
    yield f"<h2 id=errors>errors</h2><p>Each has this form:</p>{_pre(_example(_fault(document)))}"
    told = [(str(each.status), each.code, " ".join((each.__doc__ or "").split())) for each in errors.EVERY]
    yield from _table(("status", "code", ""), told)


def _operation(document: Document, method: str, path: str, operation: Document) -> Iterator[str]:
    yield f"<details><summary><b>{method}</b> <code>{escape(path)}</code><i>{escape(operation['x-lockgate-role'])}</i>"
    yield f"<span>{_text(operation['summary'])}</span></summary><div>"
    text = operation["description"].partition("\n")[0]
    if text.rstrip(".") != operation["summary"]:
        yield f"<p>{_text(text)}</p>"
    yield from _table(("parameter", "type", ""), [_parameter(each) for each in operation["parameters"]])
    body = operation.get("requestBody")
    if body:
        yield from _table(("body", "type", ""), list(_fields(document, _media(body)["schema"])))
        yield _pre(_example(body))
    good, answer = next(each for each in operation["responses"].items() if each[0].startswith("2"))
    yield from _table((f"answer ({good})", "type", ""), list(_fields(document, _media(answer)["schema"])))
    yield _pre(_example(answer))
    faults = [(status, each["description"]) for status, each in operation["responses"].items() if status != good]
    yield from _table(("errors", ""), faults)
    yield "</div></details>"


def _fault(document: Document) -> Document:
    operation = next(iter(next(iter(document["paths"].values())).values()))
    found: Document = operation["responses"]["404"]
    return found


def _media(holder: Mapping[str, Any]) -> Document:
    found: Document = next(iter(holder["content"].values()))
    return found


def _example(holder: Mapping[str, Any]) -> str:
    return json.dumps(_media(holder)["example"], indent=2, ensure_ascii=False)


def _text(text: str) -> str:
    """Text in which `words` are code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _pre(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def _table(heads: Row, rows: Sequence[Row]) -> Iterator[str]:
    if rows:
        yield f"<table><tr>{''.join(f'<th>{escape(head)}' for head in heads)}"
        for row in rows:
            yield f"<tr>{''.join(f'<td>{_text(cell)}' for cell in row)}"
        yield "</table>"


def _parameter(parameter: Document) -> Row:
    return f"{parameter['name']} ({parameter['in']})", _type(parameter["schema"]), parameter.get("description", "")


def _fields(document: Document, schema: Document, under: str = "") -> Iterator[Row]:
    """A row for each field; those of lists of objects below them, as `items[].name`."""
    found = document["components"]["schemas"].get(_ref(schema), schema)
    required = found.get("required", ())
    for name, field in found.get("properties", {}).items():
        optional = "" if name in required or under.startswith("items[]") else " (optional)"
        yield f"{under}{name}{optional}", _type(field), _described(field)
        if field.get("type") == "array" and "$ref" in field["items"]:
            yield from _fields(document, field["items"], f"{under}{name}[].")


def _described(field: Document) -> str:
    own = field.get("description") or next((each.get("description") for each in field.get("anyOf", ())), None)
    return str(own or "")


def _ref(schema: Document) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _type(schema: Document) -> str:
    if "$ref" in schema:
        return "object"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_type, schema["anyOf"])))
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("const", schema.get("type", "any")))
