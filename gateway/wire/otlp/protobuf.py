"""OTLP as protobuf, read by protobuf's own parser (the extra `otel`), which bounds how deep a message goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from gateway.errors import BodyTooLarge, InvalidRequest, UnknownPath
from gateway.wire.otlp import sent
from gateway.wire.otlp.sent import Counts, SentEvent, SentSpan, Texts, Value

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_NO_TRACE: Final = bytes(16)
_NO_SPAN: Final = bytes(8)
_SCALARS: Final = ("bool_value", "int_value", "double_value")


def counts(body: bytes) -> Counts:
    """What the request holds. Raises InvalidRequest, BodyTooLarge; UnknownPath where the parser is not installed."""
    taken = rejected = 0
    large = len(body) > sent.MAX_SPAN_BYTES  # else none of its spans can be
    for scope_spans in _scopes(_parsed(body)):
        for span in scope_spans.spans:
            if large and span.ByteSize() > sent.MAX_SPAN_BYTES:
                raise BodyTooLarge(f"a span is larger than the limit of {sent.MAX_SPAN_BYTES} bytes")
            if _named(span):
                taken += 1
            else:
                rejected += 1
        if taken + rejected > sent.MAX_SPANS:
            raise BodyTooLarge(f"more than the limit of {sent.MAX_SPANS} spans in one request")
    return Counts(taken, rejected)


def spans(body: bytes, texts: Texts) -> Iterator[SentSpan]:
    """The spans that `counts` takes. Raises as it does."""
    for resource_spans in _parsed(body).resource_spans:
        resource, _ = _attributes(resource_spans.resource.attributes, texts)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope.name
            for span in filter(_named, scope_spans.spans):
                attributes, left_out = _attributes(span.attributes, texts)
                yield SentSpan(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    kind=sent.kind_of(span.kind),
                    start_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                    error=span.status.code == sent.ERROR,
                    attributes=attributes,
                    left_out=left_out,
                    events=tuple(
                        SentEvent(event.name, event.time_unix_nano, _attributes(event.attributes, texts)[0])
                        for event in span.events[: sent.MAX_ATTRIBUTES]
                    ),
                    resource=resource,
                    scope=scope,
                )


def _parsed(body: bytes) -> ExportTraceServiceRequest:
    try:
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
    except ImportError:
        raise UnknownPath(
            "this gateway reads spans as JSON only: for protobuf its operator installs lockgate[otel]"
        ) from None
    request = trace_service_pb2.ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise InvalidRequest("the body is no ExportTraceServiceRequest in protobuf, or goes too deep") from None
    return request


def _scopes(request: ExportTraceServiceRequest) -> Iterator[Any]:
    for resource_spans in request.resource_spans:
        yield from resource_spans.scope_spans


def _named(span: Any) -> bool:
    """Whether its ids are what W3C takes for ids."""
    trace, own, parent = span.trace_id, span.span_id, span.parent_span_id
    return (
        (len(trace) == 16 and trace != _NO_TRACE)
        and (len(own) == 8 and own != _NO_SPAN)
        and (not parent or (len(parent) == 8 and parent != _NO_SPAN))
    )


def _attributes(given: Any, texts: Texts) -> tuple[dict[str, Value], int]:
    """What is kept of attributes, and how many are not."""
    found: dict[str, Value] = {}
    for each in given:
        if len(found) >= sent.MAX_ATTRIBUTES:
            break
        name, value = each.key, each.value
        kind = value.WhichOneof("value")
        if kind in _SCALARS or (kind == "string_value" and texts(name)):
            found[name] = getattr(value, kind)
        elif kind == "array_value" and texts(name):
            found[name] = tuple(one.string_value for one in value.array_value.values if one.HasField("string_value"))
    return found, len(given) - len(found)
