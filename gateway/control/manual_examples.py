"""Examples of bodies and answers, made of their schemas, so that none is forgotten or out of date. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.store import record_view, trace_tree
from gateway.store.records import Attempt, Record
from gateway.store.trace_read import Line, Trace
from gateway.telemetry.agent_spans import AgentSpan

Document = dict[str, Any]

_WHEN: Final = "2026-11-22T09:00:00.000Z"
_DIGEST: Final = "f0377ebd23925366b2a30d7387abbad36011db2560c8f9a9900370c6f550cb4f"
_OTHER: Final = "bb0eb0cdc6dafcbc99f8eb9e4a474ac279231605fe28423960b5320229d32d28"
_RECORD: Final = Record(
    id="req_019b0a1c2d3e5f3a9c1e7700000007",
    started_ns=1_795_338_000_000_000_000,
    tenant="acme",
    key="app",
    endpoint="chat",
    alias="small",
    snapshot=_DIGEST,
    backend="gpu",
    served_model="org/small",
    attempts=[
        Attempt("gpu", "http://gpu-1:8000", "first", "least_outstanding", [3, 5], 200, "ok", 0.2, 41.5, 812.0),
    ],
    input_tokens=120,
    cached_input_tokens=0,
    output_tokens=64,
    reasoning_tokens=0,
    status=200,
    code="ok",
    outcome="answered",
    first_byte_ms=41.6,
    total_ms=812.3,
    body_bytes=714,
    answer_bytes=1_806,
    charge_nanos=15_600,
    held_input=130,
    held_output=256,
    held_nanos=44_900,
    readings=[("tenant:acme|usd|month@UTC|2026-11", 1_500_000_000, 50_000_000_000)],
    usage_from="backend",
)
_TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
_CALL: Final = AgentSpan(
    tenant="acme",
    key="app",
    request="req_019b0a1c41d05f3a9c1e7700000012",
    received_ns=_RECORD.started_ns + 5_000_000_000,
    trace=_TRACE,
    span="b7ad6b7169203331",
    name="chat small",
    kind="client",
    started_ns=_RECORD.started_ns - 4_000_000,
    ended_ns=_RECORD.started_ns + 820_000_000,
    operation="chat",
    model="small",
    provider="openai",
    agent="guide",
    service="trip",
    scope="pydantic-ai",
)
_TREE: Final = trace_tree.tree(
    Trace(
        "acme",
        _TRACE,
        (_CALL,),
        (msgspec.structs.replace(_RECORD, traceparent=f"00-{_TRACE}-{_CALL.span}-01"),),
        cut=False,
    )
)
_LINE: Final = Line(
    tenant="acme",
    trace=_TRACE,
    started_ns=_CALL.started_ns,
    ended_ns=_CALL.ended_ns,
    name=_CALL.name,
    service=_CALL.service,
    agent_spans=1,
    requests=1,
    errors=0,
    input_tokens=120,
    output_tokens=64,
    charge_nanos=15_600,
)
_FIELDS: Final[Mapping[str, Any]] = {
    "tenant": "acme",
    "models": ["*"],
    "projects": ["search"],
    "expires": "2027-06-30",
    "at": None,
    "zone": None,
    "cap": "$50",
    "window": "month",
    "per": None,
    "version": 1,
    "source": "api",
    "place": None,
    "next": None,
    "created_at": _WHEN,
    "created_by": "anna",
    "changed_at": _WHEN,
    "gone_at": None,
    "previous_expires": None,
    "secret": "lg-…",
    "token": "lga-…",
    "overlap_s": 3600,
    "subject": "anna@example.com",
    "role": "admin",
    "alias": "small",
    "kind": "backend",
    "backend": "gpu",
    "served_model": "org/small",
    "fallback": [],
    "url": "http://gpu-1:8000",
    "versions": [],
    "priced": True,
    "endpoint": "http://gpu-1:8000",
    "drained": False,
    "outstanding": 3,
    "breaker_open": 0,
    "provider": None,
    "digest": _DIGEST,
    "base": _OTHER,
    "old": _OTHER,
    "new": _DIGEST,
    "bytes": 4096,
    "seq": 17,
    "via": "api",
    "request_id": "adm_0123456789abcdef01234567",
    "hash": _DIGEST,
    "whole": True,
    "count": 17,
    "head": f"17:{_DIGEST}",
    "problem": None,
    "problems": [],
    "doubts": [],
    "description": ["Server"],
    "ok": True,
    "more": False,
    "reason": "a new customer",
}
"""What stands in a field, by its name."""
_OF: Final[Mapping[str, Mapping[str, Any]]] = {
    **{name: {"name": "app"} for name in ("NewKey", "KeyAnswer", "IssuedKey")},
    **{name: {"name": "search"} for name in ("NewProject", "ProjectAnswer")},
    **{name: {"name": "acme"} for name in ("NewTenant", "TenantAnswer")},
    **{name: {"name": "anna"} for name in ("NewPrincipal", "PrincipalAnswer", "IssuedPrincipal", "WhoAnswer")},
    "BackendAnswer": {"name": "gpu", "kind": "vllm", "source": "files", "place": "gateway.yaml:3"},
    "ModelAnswer": {"source": "files", "place": "gateway.yaml:7", "meters": []},
    "SnapshotAnswer": {"at": _WHEN},
    "SnapshotDetail": {"at": _WHEN, "backends": 1, "models": 2, "tenants": 2, "projects": 1, "keys": 5},
    "DifferenceAnswer": {"path": "tenants.acme.meters[0].cap", "change": "changed", "before": "$50", "after": "$60"},
    "ChangeAnswer": {
        "at": _WHEN,
        "principal": "anna",
        "action": "update",
        "kind": "tenant",
        "tenant": None,
        "name": "acme",
        "before": {"models": ["small"]},
        "after": {"models": ["*"]},
    },
    "VerifyAnswer": {"seq": None},
    "ErasureAnswer": {"tenant": "acme", "keys": 1, "erased_at": _WHEN},
    "RecordAnswer": record_view.named(_RECORD),
    "TraceLine": trace_tree.listed(_LINE),
    "TraceAnswer": msgspec.to_builtins(_TREE),
    "TraceSpan": msgspec.to_builtins(_TREE.spans[0]),
    "MeterAnswer": {
        "bucket": "tenant:acme|usd|month@UTC|2026-11",
        "level": "tenant",
        "quantity": "usd",
        "subject": "acme",
        "window": "month@UTC",
        "instance": "2026-11",
        "used": 1_500_000_000,
        "leased": 500_000_000,
        "cap": 50_000_000_000,
        "cap_text": "$50",
        "left": 48_000_000_000,
    },
}
"""The same, of one schema."""


def add(document: Document) -> None:
    """Puts an example beside each schema of a body and of an answer."""
    schemas = document["components"]["schemas"]
    for methods in document["paths"].values():
        for operation in methods.values():
            for holder in operation["responses"].values():
                for media in holder["content"].values():
                    media["example"] = _of(schemas, media["schema"])
            for media in operation.get("requestBody", {"content": {}})["content"].values():
                media["example"] = _named(_of(schemas, media["schema"]))


def _named(value: Any) -> Any:
    """What one would write: without what is null."""
    if isinstance(value, dict):
        return {name: _named(each) for name, each in value.items() if each is not None}
    return [_named(each) for each in value] if isinstance(value, list) else value


def _of(schemas: Document, schema: Document) -> Any:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    schema = schemas.get(name, schema)
    if "example" in schema:
        return schema["example"]
    if "properties" in schema:
        known = _OF.get(name, {})
        fields = schema["properties"].items()
        return {field: known[field] if field in known else _field(schemas, field, each) for field, each in fields}
    if schema.get("type") == "array":
        return [_of(schemas, schema["items"])]
    return schema.get("default")


def _field(schemas: Document, field: str, schema: Document) -> Any:
    return _FIELDS[field] if field in _FIELDS else _of(schemas, schema)
