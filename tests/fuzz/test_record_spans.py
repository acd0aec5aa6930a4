"""Whatever became of a request, its spans are whole: each ends once, none outlasts the request, and attributes have the
types of the conventions."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.store.record_spans import Known, spans
from gateway.store.records import Attempt, Record
from gateway.telemetry import genai
from gateway.telemetry.spans import Attributes, Kind, Span

TIMES = st.floats(0.0, 600_000.0)
CODES = st.sampled_from(("ok", "connect_failed", "upstream_timeout", "stream_broken", "cancelled", ""))
ENDPOINTS = st.sampled_from((*genai.ROUTES, "infer", "models", ""))
WORDS = st.sampled_from(
    (
        *(
            "",
            "input:pii:email:mask:0.99:2",
            "output:topics:money:block:0.80:1",
            "tool_call:tools:x:fail_closed:1.00:1",
        ),
        *("output:pii:email:would_block:0.50:3", "more:more:more:more:0.00:7", "input:pii:", "input:pii:e:mask:0.9:"),
    )
)
attempts = st.builds(
    Attempt,
    backend=st.sampled_from(("gpu-a", "outside", "")),
    endpoint=st.sampled_from(("http://a:1", "https://b", "unix:///s", "http://[::1]:9/x", "nonsense", "http://[", "")),
    reason=st.sampled_from(("first", "retry", "fallback")),
    status=st.sampled_from((0, 200, 429, 500)),
    code=CODES,
    sent_ms=st.just(0.0) | TIMES,
    first_byte_ms=st.just(0.0) | TIMES,
    ended_ms=st.just(0.0) | TIMES,
)
TOKENS = st.none() | st.integers(0, 10**6)
records = st.builds(
    Record,
    id=st.from_regex(r"req_[0-9a-f]{29}[1-9a-f]", fullmatch=True) | st.text(max_size=8),
    started_ns=st.integers(0, 2**62),
    endpoint=ENDPOINTS,
    alias=st.text(max_size=8),
    stream=st.booleans(),
    backend=st.sampled_from(("", "gpu-a", "onnx")),
    attempts=st.lists(attempts, max_size=5),
    input_tokens=TOKENS,
    cached_input_tokens=TOKENS,
    output_tokens=TOKENS,
    reasoning_tokens=TOKENS,
    status=st.sampled_from((0, 200, 400, 429, 500, 502)),
    code=CODES,
    outcome=st.sampled_from(("answered", "refused", "cancelled", "failed", "crashed")),
    total_ms=st.just(0.0) | TIMES,
    traceparent=st.just("") | st.from_regex(r"00-[1-9a-f]{32}-[1-9a-f]{16}-0[01]", fullmatch=True),
    conversation=st.text(max_size=8),
    rows=TOKENS,
    charge_nanos=TOKENS,
    waste_tokens=st.integers(0, 100),
    action=st.sampled_from(("", "cut", "downgraded:small", "fallback:big", "clamped:4 cut")),
    verdicts=st.lists(WORDS, max_size=4).map(" ".join),
)


@given(records, st.sampled_from((Known(), Known({"gpu-a": "vllm"}, {("small", "gpu-a"): "qwen"}))))
def test_spans_of_any_record_are_whole(record: Record, backends: Known) -> None:
    server, *below = made = spans(record, backends)
    assert spans(record, backends) == made
    assert len(below) == len(record.attempts) or (len(below), record.backend) == (1, "onnx")
    assert len({span.span_id for span in made}) == len(made)
    assert (server.kind, server.parent_id) == (Kind.SERVER, record.traceparent[36:52])
    for span in made:
        assert re.fullmatch("[0-9a-f]{32}", span.trace_id)
        assert span.trace_id == server.trace_id
        assert re.fullmatch("[0-9a-f]{16}", span.span_id)
        assert server.start_ns <= span.start_ns <= span.end_ns <= server.end_ns
        assert all(server.start_ns <= event.at_ns <= server.end_ns for event in span.events)
        typed(span.attributes)
        for event in span.events:
            typed(event.attributes)
        required(record, span)
    assert all(span.parent_id == server.span_id for span in below)


def typed(attributes: Attributes) -> None:
    for name, value in attributes.items():
        assert type(value) is genai.TYPES[name], name
        assert not isinstance(value, tuple) or all(type(each) is str for each in value)


def required(record: Record, span: Span) -> None:
    """What the conventions require of a kind of span."""
    if span.kind is Kind.CLIENT and record.endpoint in genai.OPERATIONS:
        assert {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"} <= set(span.attributes)
    if span.kind is Kind.SERVER and record.endpoint in genai.ROUTES:
        assert {"http.request.method", "url.path", "url.scheme"} <= set(span.attributes)
    assert not span.error or "error.type" in span.attributes
    if "server.port" in span.attributes:
        assert "server.address" in span.attributes
