from __future__ import annotations

from typing import Any

import pytest

from gateway.store import record_spans, trace_tree
from gateway.store.records import Record
from gateway.store.trace_read import MOST_SPANS, Trace
from gateway.store.trace_tree import Tree
from tests.support.agent_spans import TRACE, a_span, kept
from tests.support.journals import STARTED_NS, a_record, an_attempt

ROOT, CHILD, LEAF = "a" * 16, "b" * 16, "c" * 16


def drawn(*spans: dict[str, Any], records: tuple[Record, ...] = ()) -> Tree:
    return trace_tree.tree(Trace("acme", TRACE, tuple(kept(spans)), records, cut=False))


def shape(tree: Tree) -> list[tuple[str, int]]:
    return [(node.span[:1], node.depth) for node in tree.spans]


def test_each_span_stands_before_those_below_it_by_time() -> None:
    tree = drawn(
        a_span(LEAF, CHILD, start=6, end=7),
        a_span("d" * 16, ROOT, start=2, end=4),
        a_span(CHILD, ROOT, start=5, end=9),
        a_span(ROOT, start=1, end=20),
    )
    assert shape(tree) == [("a", 0), ("d", 1), ("b", 1), ("c", 2)]
    assert [(node.at_ms, node.took_ms) for node in tree.spans] == [(0.0, 19.0), (1.0, 2.0), (4.0, 4.0), (5.0, 1.0)]
    assert (tree.took_ms, tree.agent_spans, tree.outside, tree.lost_parents) == (19.0, 4, 0, 0)


def test_a_request_hangs_on_the_span_that_made_it_with_what_it_cost() -> None:
    record = a_record(
        "req_019b0a1c2d3e5f3a9c1e7700000007",
        traceparent=f"00-{TRACE}-{CHILD}-01",
        started_ns=STARTED_NS + 2_000_000,
        attempts=[an_attempt()],
        input_tokens=5,
        cached_input_tokens=2,
        output_tokens=3,
        reasoning_tokens=1,
        charge_nanos=40,
        total_ms=4.0,
    )
    usage = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 99}
    tree = drawn(a_span(ROOT), a_span(CHILD, ROOT, attributes=usage), records=(record,))
    assert [(node.source, node.depth) for node in tree.spans] == [
        ("agent", 0),
        ("agent", 1),
        ("gateway", 2),
        ("gateway", 3),
    ]
    request = tree.spans[2]
    assert (request.request, request.input_tokens, request.output_tokens) == (record.id, 7, 4)
    assert [node.cost_usd_nanos for node in tree.spans] == [None, None, 40, None]
    assert (tree.requests, tree.input_tokens, tree.output_tokens, tree.cost_usd_nanos) == (1, 7, 4, 40)
    assert [node.span for node in tree.spans[2:]] == [span.span_id for span in record_spans.spans(record)]


def test_where_nothing_came_through_the_gateway_the_agents_own_calls_are_summed() -> None:
    call = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 2}
    whole = call | {"gen_ai.operation.name": "invoke_agent"}
    tree = drawn(a_span(ROOT, attributes=whole), a_span(CHILD, ROOT, attributes=call))
    assert (tree.input_tokens, tree.output_tokens, tree.cost_usd_nanos) == (5, 2, None)


@pytest.mark.parametrize(("start", "end", "outside"), [(0, 10, False), (-5, 5, True), (5, 30, True), (50, 60, True)])
def test_a_child_outside_its_parents_time_is_shown_and_marked(start: int, end: int, *, outside: bool) -> None:
    tree = drawn(a_span(ROOT, start=0, end=10), a_span(CHILD, ROOT, start=start, end=end))
    assert [node.outside for node in tree.spans] == [False, outside]
    assert tree.outside == outside
    assert min(node.at_ms for node in tree.spans) == 0.0


def test_a_span_of_a_clock_that_is_wrong_by_years_is_shown_when_it_came() -> None:
    tree = drawn(a_span(ROOT), a_span(CHILD, ROOT) | {"startTimeUnixNano": "5", "endTimeUnixNano": "1000005"})
    assert [(node.at_ms, node.took_ms) for node in tree.spans] == [(0.0, 10.0), (0.0, 1.0)]


def test_a_span_whose_parent_is_not_there_is_a_root_and_says_so() -> None:
    tree = drawn(a_span(CHILD, ROOT), a_span(LEAF, CHILD))
    assert shape(tree) == [("b", 0), ("c", 1)]
    assert [node.lost_parent for node in tree.spans] == [True, False]


def test_spans_that_are_their_own_ancestors_are_each_shown_once() -> None:
    tree = drawn(a_span(ROOT, CHILD), a_span(CHILD, ROOT, start=1), a_span(LEAF, LEAF, start=2))
    assert sorted(shape(tree)) == [("a", 0), ("b", 1), ("c", 0)]
    assert tree.lost_parents == 2


def test_a_trace_may_be_as_deep_as_it_has_spans() -> None:
    ids = [f"{number:016x}" for number in range(1, MOST_SPANS)]
    tree = drawn(*(a_span(one, parent) for one, parent in zip(ids, ["", *ids], strict=False)))
    assert [node.depth for node in tree.spans] == list(range(len(ids)))


def test_nothing_is_the_tree_of_nothing() -> None:
    tree = trace_tree.tree(Trace("acme", TRACE, (), (), cut=False))
    assert (tree.spans, tree.took_ms) == ([], 0.0)
