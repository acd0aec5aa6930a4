from __future__ import annotations

import gzip
from typing import Any

import pytest

from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.wire.otlp import request, sent
from gateway.wire.otlp.request import Form
from tests.support import otlp
from tests.support.agent_spans import TRACE, a_span, as_json, as_protobuf
from tests.support.journals import STARTED_NS

SPANS = [
    a_span(
        "b7ad6b7169203331",
        name="chat small",
        kind=3,
        start=5,
        end=25,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 12,
            "ratio": 0.5,
            "cached": True,
            "gen_ai.response.finish_reasons": ["stop", "length"],
            "gen_ai.input.messages": "what was said",
            "nested": {"a": ["b"]},
        },
        error=True,
        events=[{"name": "exception", "timeUnixNano": str(STARTED_NS), "attributes": []}],
    ),
    a_span("00f067aa0ba902b7", "b7ad6b7169203331"),
]


def body(form: Form, spans: list[dict[str, Any]]) -> bytes:
    if form == "json":
        return as_json(spans)
    otlp.require()
    return as_protobuf(spans)


def texts(name: str) -> bool:
    return name.startswith(("gen_ai.operation", "gen_ai.response", "service"))


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_both_forms_give_the_same_spans(form: Form) -> None:
    given = body(form, SPANS)
    assert request.counts(given, form) == (2, 0)
    first, second = request.spans(given, form, texts)
    assert (first.trace_id, first.span_id, first.parent_id) == (TRACE, "b7ad6b7169203331", "")
    assert (first.name, first.kind, first.error, first.scope) == ("chat small", "client", True, "tests")
    assert (first.start_ns - STARTED_NS, first.end_ns - STARTED_NS) == (5_000_000, 25_000_000)
    assert first.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 12,
        "ratio": 0.5,
        "cached": True,
        "gen_ai.response.finish_reasons": ("stop", "length"),
    }
    assert first.left_out == 2
    assert first.resource == {"service.name": "trip"}
    assert [event[:2] for event in first.events] == [("exception", STARTED_NS)]
    assert (second.parent_id, second.error, second.left_out) == ("b7ad6b7169203331", False, 0)


@pytest.mark.parametrize("form", ["json", "protobuf"])
@pytest.mark.parametrize("field", ["traceId", "spanId", "parentSpanId"])
@pytest.mark.parametrize("identity", ["0" * 16, "0" * 32, "abcd"])
def test_a_span_that_nobody_could_find_is_rejected_and_the_others_are_taken(
    form: Form, field: str, identity: str
) -> None:
    given = body(form, [SPANS[0] | {field: identity}, SPANS[1]])
    assert request.counts(given, form) == (1, 1)
    (left,) = request.spans(given, form, texts)
    assert left.span_id == "00f067aa0ba902b7"


@pytest.mark.parametrize("form", ["json", "protobuf"])
@pytest.mark.parametrize("given", [b"\xff\xff\xff", b"no", b'{"resourceSpans": 3}', b'{"resourceSpans"'])
def test_garbage_is_refused(form: Form, given: bytes) -> None:
    if form == "protobuf":
        otlp.require()
    with pytest.raises(InvalidRequest) as raised:
        request.counts(given, form)
    assert "resourceSpans" not in raised.value.message or "$.resourceSpans" in raised.value.message


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_a_part_of_a_request_is_refused(form: Form) -> None:
    whole = body(form, SPANS)
    for cut in (1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(InvalidRequest):
            request.counts(whole[:cut], form)


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_an_empty_request_holds_nothing(form: Form) -> None:
    assert request.counts(body(form, []), form) == (0, 0)


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_a_value_that_goes_too_deep_is_refused(form: Form) -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    given = a_span("b7ad6b7169203331", attributes={"deep": deep})
    with pytest.raises(InvalidRequest, match="deep"):
        request.counts(body(form, [given]) if form == "json" else deep_protobuf(60), form)


def deep_protobuf(levels: int) -> bytes:
    """Written from within, since protobuf's own library makes nothing so deep."""
    otlp.require()
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

    def field(number: int, content: bytes) -> bytes:
        size, head = len(content), bytes((number << 3 | 2,))
        varint = bytearray()
        while size > 0x7F:
            varint.append(size & 0x7F | 0x80)
            size >>= 7
        return head + bytes((*varint, size)) + content

    value = AnyValue(string_value="x").SerializeToString()
    for _ in range(levels):
        value = field(5, field(1, value))
    pair = KeyValue(key="deep").SerializeToString() + field(2, value)
    span = field(1, bytes(15) + b"a") + field(2, bytes(7) + b"a") + field(9, pair)
    return field(1, field(2, field(2, span)))


def test_json_without_an_end_of_depth_is_refused() -> None:
    for opening in (b'{"a":', b"[", b'{"resourceSpans":['):
        with pytest.raises(InvalidRequest):
            request.counts(opening * 100_000, "json")


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_a_giant_span_is_refused(form: Form) -> None:
    given = body(form, [a_span("b7ad6b7169203331", attributes={"text": "x" * sent.MAX_SPAN_BYTES})])
    with pytest.raises(BodyTooLarge, match="span is larger"):
        request.counts(given, form)


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_too_many_spans_are_refused(form: Form) -> None:
    one = body("protobuf", SPANS[1:]) if form == "protobuf" else b""
    many = as_json(SPANS[1:] * (sent.MAX_SPANS + 1)) if form == "json" else one * (sent.MAX_SPANS + 1)
    with pytest.raises(BodyTooLarge, match="8192 spans"):
        request.counts(many, form)


def test_a_body_may_be_compressed_and_unfolds_to_the_limit_at_most() -> None:
    given = as_json(SPANS)
    assert request.unfolded(gzip.compress(given), b"gzip") == given
    assert request.unfolded(given, None) == given
    for body, encoding in ((bytes(sent.MAX_BYTES + 1), None), (gzip.compress(bytes(sent.MAX_BYTES + 1)), b"gzip")):
        with pytest.raises(BodyTooLarge):
            request.unfolded(body, encoding)
    with pytest.raises(InvalidRequest):
        request.unfolded(given, b"gzip")


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        (b"application/x-protobuf", "protobuf"),
        (b"Application/JSON; charset=utf-8", "json"),
        (b"text/plain", None),
        (b"", None),
    ],
)
def test_the_form_is_what_the_header_names(content_type: bytes, form: Form | None) -> None:
    if form is not None:
        assert request.form_of(content_type) == form
        return
    with pytest.raises(InvalidRequest, match="application/x-protobuf"):
        request.form_of(content_type)
