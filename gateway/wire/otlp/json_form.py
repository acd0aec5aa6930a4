"""OTLP as JSON: protobuf's JSON form with ids in hexadecimal digits and numbers for words. Unknown fields are passed
over, as the protocol asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.wire.otlp import sent
from gateway.wire.otlp.sent import Counts, SentEvent, SentSpan, Texts, Value

_TRACE: Final = re.compile(r"(?!0{32})[0-9a-fA-F]{32}").fullmatch
_SPAN: Final = re.compile(r"(?!0{16})[0-9a-fA-F]{16}").fullmatch
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}").fullmatch
_MOST: Final = 2**64 - 1


class _Part(msgspec.Struct, rename="camel", gc=False):
    """A message of the protocol."""


class _Values(_Part):
    values: list[_Any] = []


class _Pairs(_Part):
    values: list[_Pair] = []


class _Any(_Part):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: _Values | None = None
    kvlist_value: _Pairs | None = None


class _Pair(_Part):
    key: str = ""
    value: _Any | None = None


class _Event(_Part):
    name: str = ""
    time_unix_nano: int | str = 0
    attributes: list[_Pair] = []


class _Status(_Part):
    code: int = 0


class _Span(_Part):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str | None = None
    name: str = ""
    kind: int = 0
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[_Pair] = []
    events: list[_Event] = []
    status: _Status = msgspec.field(default_factory=_Status)


class _Scope(_Part):
    name: str = ""


class _ScopeSpans(_Part):
    scope: _Scope = msgspec.field(default_factory=_Scope)
    spans: list[_Span] = []


class _Resource(_Part):
    attributes: list[_Pair] = []


class _ResourceSpans(_Part):
    resource: _Resource = msgspec.field(default_factory=_Resource)
    scope_spans: list[_ScopeSpans] = []


class _Request(_Part):
    resource_spans: list[_ResourceSpans] = []


_decode: Final = msgspec.json.Decoder(_Request).decode


def counts(body: bytes) -> Counts:
    """What the request holds. Raises InvalidRequest, BodyTooLarge."""
    taken = rejected = 0
    request = _parsed(body)
    for resource_spans in request.resource_spans:
        _bounded(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                _bounded(span.attributes)
                for event in span.events:
                    _bounded(event.attributes)
                if _named(span):
                    taken += 1
                else:
                    rejected += 1
    if taken + rejected > sent.MAX_SPANS:
        raise BodyTooLarge(f"more than the limit of {sent.MAX_SPANS} spans in one request")
    if len(body) > sent.MAX_SPAN_BYTES and taken + rejected:
        _none_giant(request)
    return Counts(taken, rejected)


def spans(body: bytes, texts: Texts) -> Iterator[SentSpan]:
    """The spans that `counts` takes. Raises as it does."""
    for resource_spans in _parsed(body).resource_spans:
        resource, _ = _attributes(resource_spans.resource.attributes, texts)
        for scope_spans in resource_spans.scope_spans:
            for span in filter(_named, scope_spans.spans):
                attributes, left_out = _attributes(span.attributes, texts)
                yield SentSpan(
                    trace_id=span.trace_id.lower(),
                    span_id=span.span_id.lower(),
                    parent_id=(span.parent_span_id or "").lower(),
                    name=span.name,
                    kind=sent.kind_of(span.kind),
                    start_ns=_unsigned(span.start_time_unix_nano) or 0,
                    end_ns=_unsigned(span.end_time_unix_nano) or 0,
                    error=span.status.code == sent.ERROR,
                    attributes=attributes,
                    left_out=left_out,
                    events=tuple(
                        SentEvent(
                            event.name, _unsigned(event.time_unix_nano) or 0, _attributes(event.attributes, texts)[0]
                        )
                        for event in span.events[: sent.MAX_ATTRIBUTES]
                    ),
                    resource=resource,
                    scope=scope_spans.scope.name,
                )


def _parsed(body: bytes) -> _Request:
    try:
        return _decode(body)
    except RecursionError:
        raise InvalidRequest("the body goes too deep") from None
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not UTF-8") from None
    except msgspec.ValidationError as error:  # a type and a path: nothing of what was sent
        raise InvalidRequest(f"the body is no ExportTraceServiceRequest: {error}") from None
    except msgspec.DecodeError:
        raise InvalidRequest("the body is not valid JSON") from None


def _named(span: _Span) -> bool:
    """Whether ids and times can be read."""
    return (
        _TRACE(span.trace_id) is not None
        and _SPAN(span.span_id) is not None
        and (not span.parent_span_id or _SPAN(span.parent_span_id) is not None)
        and _unsigned(span.start_time_unix_nano) is not None
        and _unsigned(span.end_time_unix_nano) is not None
    )


def _unsigned(given: int | str) -> int | None:
    """A number of 64 bits, which protobuf's JSON writes as a text."""
    if isinstance(given, str):
        if not (given.isascii() and given.isdecimal()) or len(given) > 20:
            return None
        given = int(given)
    return given if 0 <= given <= _MOST else None


def _signed(given: int | str) -> int | None:
    """The same with a sign."""
    if isinstance(given, str):
        if _INTEGER(given) is None:
            return None
        given = int(given)
    return given if -(2**63) <= given < 2**63 else None


def _bounded(attributes: Sequence[_Pair]) -> None:
    """Raises InvalidRequest for a value that goes too deep."""
    for each in attributes:
        if each.value is not None and (each.value.array_value is not None or each.value.kvlist_value is not None):
            _dive(each.value, sent.MAX_DEPTH)


def _dive(value: _Any, left: int) -> None:
    if left < 0:
        raise InvalidRequest(f"the value of an attribute goes deeper than {sent.MAX_DEPTH} levels")
    if value.array_value is not None:
        for one in value.array_value.values:
            _dive(one, left - 1)
    if value.kvlist_value is not None:
        for pair in value.kvlist_value.values:
            if pair.value is not None:
                _dive(pair.value, left - 1)


def _none_giant(request: _Request) -> None:
    encode = msgspec.json.encode
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if len(encode(span)) > sent.MAX_SPAN_BYTES:
                    raise BodyTooLarge(f"a span is larger than the limit of {sent.MAX_SPAN_BYTES} bytes")


def _attributes(given: Sequence[_Pair], texts: Texts) -> tuple[dict[str, Value], int]:
    """What is kept of attributes, and how many are not."""
    found: dict[str, Value] = {}
    for each in given[: sent.MAX_ATTRIBUTES]:
        value = None if each.value is None else _value(each.value, each.key, texts)
        if value is not None:
            found[each.key] = value
    return found, len(given) - len(found)


def _value(given: _Any, name: str, texts: Texts) -> Value | None:
    if given.bool_value is not None:
        return given.bool_value
    if given.int_value is not None:
        return _signed(given.int_value)
    if isinstance(given.double_value, float):
        return given.double_value
    if texts(name):
        if given.string_value is not None:
            return given.string_value
        if given.array_value is not None:
            return tuple(one.string_value for one in given.array_value.values if one.string_value is not None)
    return None
