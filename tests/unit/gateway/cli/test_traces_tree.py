from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.cli import traces_tree
from gateway.store import trace_tree
from gateway.store.records import Record
from gateway.store.trace_read import Trace
from tests.support.agent_spans import TRACE, a_span, kept
from tests.support.journals import STARTED_NS, a_record, an_attempt


def drawn(*spans: dict[str, Any], records: tuple[Record, ...] = (), most: int = 400, cut: bool = False) -> list[str]:
    tree = trace_tree.tree(Trace("acme", TRACE, tuple(kept(spans)), records, cut))
    lines = list(traces_tree.whole(msgspec.to_builtins(tree), most))
    assert max(map(len, lines)) <= 100
    return lines


def test_a_run_is_a_tree_with_times_tokens_cost_and_errors() -> None:
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "small", "gen_ai.usage.input_tokens": 12}
    record = a_record(
        "req_019b0a1c2d3e5f3a9c1e7700000007",
        traceparent=f"00-{TRACE}-{'b' * 16}-01",
        started_ns=STARTED_NS + 3_000_000,
        attempts=[an_attempt()],
        input_tokens=12,
        output_tokens=3,
        charge_nanos=2_500,
        total_ms=5.0,
    )
    lines = drawn(
        a_span("a" * 16, name="trip", end=1_500),
        a_span("b" * 16, "a" * 16, name="ask", start=2, end=20, attributes=call),
        a_span("c" * 16, "a" * 16, name="tool", start=30, end=40, attributes={"error.type": "Timeout"}, error=True),
        records=(record,),
    )
    assert lines == [
        f"trace {TRACE} of acme",
        "2027-01-15 08:00:00 UTC: 5 spans, 1 request, 1.50 s, 1 failed, 12→3 tokens, $0.000003",
        "",
        "                                                              at      took        tokens       cost",
        "trip                                                        0 ms    1.50 s",
        "├─ ask small                                              2.0 ms     18 ms          12→0",
        "│  └─ ▸ POST /v1/chat/completions                         3.0 ms    5.0 ms          12→3  $0.000003",
        "│     └─ ▸ chat qwen3-8b                                  3.2 ms    4.8 ms",
        "└─ ✗ tool: Timeout                                         30 ms     10 ms",
        "",
    ]


def test_what_is_odd_is_marked_and_said() -> None:
    lines = drawn(
        a_span("a" * 16, name="root", end=5),
        a_span("b" * 16, "a" * 16, name="late", start=4, end=90),
        a_span("c" * 16, "9" * 16, name="lost"),
        cut=True,
    )
    text = "\n".join(lines)
    assert [line.split("  ")[0] for line in lines[4:7]] == ["root", "└─ late ~", "lost ?"]
    assert "~ 1 began before their parent or ended after it" in text
    assert "? 1 name a parent that is not here" in text
    assert "more than the 10,000 spans" in text


def test_many_alike_are_folded_but_none_that_failed() -> None:
    many = [a_span(f"{number:016x}", "a" * 16, name="step", start=number) for number in range(1, 100)]
    below = a_span("e" * 16, f"{60:016x}", name="below")
    failed = a_span("f" * 16, "a" * 16, name="step", start=200, error=True)
    lines = drawn(a_span("a" * 16, name="root", end=500), *many, below, failed)
    steps = [line for line in lines if "step" in line]
    assert len(steps) == traces_tree.MOST_ALIKE + 1
    assert "step … 79 more" in steps[-2]
    assert "✗ step: failed" in steps[-1]
    assert not any("below" in line for line in lines)


def test_a_giant_trace_ends_where_asked_and_says_so() -> None:
    many = [a_span(f"{number:016x}", name=f"step {number}", start=number) for number in range(1, 60)]
    lines = drawn(*many, most=10)
    assert "step 10 " in lines[13]
    assert lines[-1] == "49 more spans are not drawn: --limit, or --json for all of them"


def test_what_lies_deep_says_how_deep() -> None:
    ids = [f"{number:016x}" for number in range(1, 40)]
    lines = drawn(
        *(a_span(one, parent, start=at) for at, (one, parent) in enumerate(zip(ids, ["", *ids], strict=False)))
    )
    assert "(+28) step" in lines[4 + 38]


@pytest.mark.parametrize("name", ["x" * 300, "a\x1b[31mb", "line\nbreak", ""])
def test_names_cannot_harm_a_terminal(name: str) -> None:
    lines = drawn(a_span("a" * 16, name=name))
    assert all(line.isprintable() for line in lines)


def test_a_list_has_its_days_and_fits() -> None:
    item = {
        "trace": TRACE,
        "tenant": "a-tenant-with-a-long-name",
        "started": "2027-01-15T08:00:00.123Z",
        "took_ms": 12_345.0,
        "name": "a name that goes on and on and on and on",
        "service": "trip",
        "agent_spans": 812_345,
        "requests": 1_042,
        "errors": 3,
        "input_tokens": 5,
        "output_tokens": 5,
        "charge_usd_nanos": 1_000_000,
    }
    lines = list(traces_tree.listed([item, item | {"started": "2027-01-14T08:00:00.123Z", "errors": 0}]))
    assert max(map(len, lines)) <= 100
    assert [line for line in lines if line.startswith("2027")] == ["2027-01-15", "2027-01-14"]
    assert all(TRACE in line for line in (lines[3], lines[5]))
    assert list(traces_tree.listed([])) == []
