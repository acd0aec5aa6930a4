"""What agents send: requests in OTLP, in both its forms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.telemetry import agent_names, agent_spans
from gateway.telemetry.agent_spans import AgentSpan, Sender
from gateway.wire.otlp import request
from tests.support.journals import STARTED_NS

TRACE = "0af7651916cd43dd8448eb211c80319c"
SENDER = Sender("acme", "app", "", "req_019b0a1c2d3e5f3a9c1e7700000007", STARTED_NS)


def a_span(span: str, parent: str = "", **more: Any) -> dict[str, Any]:
    """A span as OTLP's JSON has it; `attributes` as a plain map, times in `start` and `end` as milliseconds after
    `STARTED_NS`."""
    given = {"name": "step", "kind": 1, "start": 0, "end": 10, "attributes": {}, "trace": TRACE, **more}
    made: dict[str, Any] = {
        "traceId": given["trace"],
        "spanId": span,
        "name": given["name"],
        "kind": given["kind"],
        "startTimeUnixNano": str(STARTED_NS + given["start"] * 1_000_000),
        "endTimeUnixNano": str(STARTED_NS + given["end"] * 1_000_000),
        "attributes": pairs(given["attributes"]),
        "events": given.get("events", []),
        "status": {"code": 2} if given.get("error") else {},
    }
    if parent:
        made["parentSpanId"] = parent
    return made


def pairs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes as OTLP's JSON has them."""
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
        case list() | tuple():
            return {"arrayValue": {"values": [_value(one) for one in value]}}
        case _:
            return {"kvlistValue": {"values": pairs(value)}}


def as_json(spans: Sequence[Mapping[str, Any]], service: str = "trip") -> bytes:
    """A request in JSON."""
    resource = {"attributes": pairs({"service.name": service})}
    scope = {"scope": {"name": "tests"}, "spans": list(spans)}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}).encode()


def as_protobuf(spans: Sequence[Mapping[str, Any]], service: str = "trip") -> bytes:
    """The same in protobuf, made by its own library of the JSON."""
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    # Of ids protobuf's own JSON has base64; OTLP's has hexadecimal digits.
    document = json.loads(as_json([], service))
    made = json_format.ParseDict(document, ExportTraceServiceRequest())
    for span in spans:
        plain = {name: value for name, value in span.items() if name not in ("traceId", "spanId", "parentSpanId")}
        into = made.resource_spans[0].scope_spans[0].spans.add()
        json_format.ParseDict(plain, into)
        into.trace_id = bytes.fromhex(span["traceId"])
        into.span_id = bytes.fromhex(span["spanId"])
        into.parent_span_id = bytes.fromhex(span.get("parentSpanId", ""))
    encoded: bytes = made.SerializeToString()
    return encoded


def kept(spans: Sequence[Mapping[str, Any]], sender: Sender = SENDER) -> list[AgentSpan]:
    """These spans as they are kept."""
    found = request.spans(as_json(spans), "json", agent_names.kept)
    return [agent_spans.of(sent, sender) for sent in found]
