"""Whatever agents send: it is refused, or every span of it can be kept, stored and drawn."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import CallerError
from gateway.store import span_rows, trace_tree
from gateway.store.trace_read import Trace
from gateway.telemetry import agent_names, agent_spans
from gateway.wire.otlp import request
from gateway.wire.otlp.request import Form
from tests.support import otlp
from tests.support.agent_spans import SENDER, TRACE, a_span, as_json, as_protobuf

NAMES = st.sampled_from(
    [*agent_names.OPERATION, *agent_names.INPUT_TOKENS, *agent_names.COST_USD, *agent_names.CACHED_TOKENS, "x", ""]
)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.lists(st.text(max_size=5), max_size=3),
)
IDS = st.sampled_from([f"{number:016x}" for number in range(6)])
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["resourceSpans", "scopeSpans", "spans", "attributes", "value", "key", "traceId", "events"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


def stored(body: bytes, form: Form) -> None:
    try:
        counts = request.counts(body, form)
    except CallerError:
        return
    spans = [agent_spans.of(sent, SENDER) for sent in request.spans(body, form, agent_names.kept)]
    assert len(spans) == counts.taken
    for line in span_rows.lines(spans).splitlines():
        row = json.loads(line)
        numbers = [value for value in row.values() if isinstance(value, int)]
        assert all(-(2**63) <= number < 2**63 for number in numbers)
    for trace in {span.trace for span in spans}:
        its = tuple(span for span in spans if span.trace == trace)
        tree = trace_tree.tree(Trace("acme", trace, its, (), cut=False))
        assert {node.span for node in tree.spans} == {span.span for span in its}
        json.dumps([[node.name, node.depth, node.attributes] for node in tree.spans])


@st.composite
def documents(draw: st.DrawFn) -> list[dict[str, Any]]:
    spans = []
    for _ in range(draw(st.integers(0, 6))):
        span = a_span(
            draw(IDS),
            draw(st.one_of(st.just(""), IDS)),
            name=draw(st.text(max_size=10)),
            kind=draw(st.integers(-1, 7)),
            attributes=draw(st.dictionaries(NAMES, VALUES, max_size=5)),
            trace=draw(st.sampled_from([TRACE, "0" * 32, "1" * 32])),
            error=draw(st.booleans()),
        )
        for time in ("startTimeUnixNano", "endTimeUnixNano"):
            span[time] = str(draw(st.integers(0, 2**64 - 1)))
        spans.append(span)
    return spans


@given(documents())
def test_spans_in_json(spans: list[dict[str, Any]]) -> None:
    stored(as_json(spans), "json")


@given(documents())
def test_spans_in_protobuf(spans: list[dict[str, Any]]) -> None:
    otlp.require()
    stored(as_protobuf(spans), "protobuf")


@given(JSON)
def test_any_json(document: Any) -> None:
    stored(json.dumps(document).encode(), "json")


@given(st.one_of(st.binary(max_size=200), st.text(max_size=50).map(str.encode)), st.sampled_from(["json", "protobuf"]))
def test_any_bytes(body: bytes, form: Form) -> None:
    otlp.require()
    stored(body, form)
