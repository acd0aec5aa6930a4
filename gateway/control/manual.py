"""The OpenAPI document completed: who may call a route, its errors, its headers, and examples. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway.control import errors, manual_examples
from gateway.policy.roles import Needs

Document = dict[str, Any]
Gated = tuple[str, str, Needs]
"""(method, path, what it asks of who calls it)"""

TAGS: Final[Mapping[str, str]] = {
    "tenants": "Who may ask, for which models, within which limits.",
    "projects": "Parts of a tenant's work that are metered and told apart.",
    "keys": "What callers come with. A secret is in the answer that made it and nowhere else.",
    "meters": "What was used of requests, tokens and money, and what is left of each cap.",
    "models": "What callers can name. Models are declared in the files.",
    "backends": "What serves the models, how its endpoints stand, and the drain of one.",
    "snapshots": "The configurations that were in force, and what differs between two.",
    "check": "A configuration checked without being put in force.",
    "principals": "Who may administer, with which roles.",
    "changes": "Who changed what, when and why, and whether that log is whole.",
    "records": "What became of each request: who asked, what was tried, what it cost. Never what was said.",
    "traces": "Runs of agents: the spans they sent, and below them what the gateway did for each of their requests.",
}
"""The resources, in the order of the manual."""

_FAULTS: Final[Mapping[str, str]] = {
    "400": "The request is not what is taken; `param` names the part.",
    "401": "No token, or one that is not valid.",
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
_HEADER_SCHEMAS: Final[Mapping[str, Document]] = {
    "if-match": {"type": "string", "pattern": '^(\\*|"?[0-9]{1,18}"?)$'},
    "idempotency-key": {"type": "string", "pattern": "^[!-~]{1,200}$"},
    "x-lockgate-reason": {"type": "string", "maxLength": 500, "pattern": "^[ -~]*$"},
}
_PARTS: Final[Mapping[str, str]] = {
    "tenant": "The tenant's name.",
    "project": "The project's name.",
    "key": "The key's name, which is not its secret.",
    "bucket": "A meter as the list names it; behind its subject (`key:acme/app`) the rest may be left out.",
    "alias": "The model as callers name it.",
    "backend": "The backend's name.",
    "digest": "Of a snapshot; its beginning (8 digits) is enough where no other begins so.",
    "other": "Of the snapshot to compare with.",
    "principal": "The principal's name.",
    "record": "The request's id, as in `x-request-id`.",
    "trace": "The trace's id: 32 hexadecimal digits.",
}
_FAULT_SCHEMA: Final[Document] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "param"],
            "properties": {
                "code": {"type": "string", "enum": [each.code for each in errors.EVERY]},
                "message": {"type": "string", "description": "For the person who must act."},
                "param": {"type": ["string", "null"], "description": "The part of the request that it is about."},
            },
        }
    },
    "example": {"error": {"code": "not_found", "message": "there is no tenant acme", "param": None}},
}


def completed(document: Document, gated: Iterable[Gated]) -> Document:
    """The document with the token, the roles, the errors and headers that all routes have, and examples."""
    components = document.setdefault("components", {})
    if "securitySchemes" in components:  # it is kept by FastAPI, and was completed before
        return document
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["FaultAnswer"] = _FAULT_SCHEMA
    roles = {(method.lower(), path.replace(":path}", "}")): needs for method, path, needs in gated}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _complete(operation, method, path, role(roles[method, path]))
    manual_examples.add(document)
    return document


def role(needs: Needs) -> str:
    """Who may call a route, in words."""
    words = {
        "gateway": f"{needs.role}",
        "tenant": f"{needs.role} of the tenant",
        "some": f"{needs.role} of what is shown or changed",
        "none": "any token",
    }
    return words[needs.scope]


def _complete(operation: Document, method: str, path: str, who: str) -> None:
    text = operation["description"]
    operation["summary"] = text.partition(".")[0].partition(":")[0].partition(";")[0]
    operation["description"] = f"{text}\n\nRole: {who}."
    operation["x-lockgate-role"] = who
    responses = operation["responses"]
    responses.pop("422", None)
    next(each for status, each in responses.items() if status.startswith("2"))["description"] = "Done."
    responses |= {status: _fault(text) for status, text in _FAULTS.items() if _has(status, method, path)}
    responses["403"] = _fault(f"The principal has no role that allows this: it takes {who}.")
    parameters = operation.setdefault("parameters", [])
    for each in parameters:
        if each["in"] == "path":
            each["description"] = _PARTS[each["name"]]
    parameters.extend(
        {"name": name, "in": "header", "required": False, "schema": _HEADER_SCHEMAS[name], "description": text}
        for name, (only, text) in _HEADERS.items()
        if method in only
    )
    operation["responses"] = dict(sorted(responses.items()))


def _has(status: str, method: str, path: str) -> bool:
    return method in _ONLY.get(status, (method,)) or (status == "409" and "bucket" in path)


def _fault(text: str) -> Document:
    schema = {"$ref": "#/components/schemas/FaultAnswer"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}
