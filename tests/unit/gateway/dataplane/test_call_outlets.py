from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.dataplane.call_outlets import RuledCall, WatchedCall
from gateway.dataplane.outlets import Judged, ScreenOutlet
from guardrails.checks.tools import policy
from guardrails.screen import labelled

TOOLS = policy(["pay", "search"], privileged=["pay"], untrusted_results=["search"])


def rulings(outlet: Judged) -> list[tuple[str, str, bool]]:
    return [(each.finding.check, each.finding.code, each.enforced) for each in outlet.verdict().rulings]


def nobody(*_: object) -> None:
    raise AssertionError("nothing is asked and nobody is told")


@pytest.mark.parametrize("enforced", [True, False])
def test_what_is_refused_by_name_says_nothing_if_it_is_enforced(enforced: bool) -> None:
    call = RuledCall("tool_not_allowed", enforced=enforced)
    assert call.feed("délete") + call.more() + call.finish() == ("" if enforced else "délete")
    assert (call.blocked, call.waits, call.heard_bytes) == (enforced, False, 7)
    assert rulings(call) == [("tools", "tool_not_allowed", enforced)]


@pytest.mark.parametrize(
    ("tool", "text", "results", "code"),
    [
        ("rm", "{}", (), "tool_not_allowed"),
        ("pay", '{"a": 1}', ("search",), "privileged_after_untrusted"),
        ("pay", '{"a": 1,', (), "arguments_no_object"),
        ("pay", '{"a": 1}', (), None),
    ],
)
def test_a_watched_call_passes_as_it_comes_and_what_would_be_refused_is_noted(
    tool: str, text: str, results: Sequence[str], code: str | None
) -> None:
    for size in (1, 3, len(text)):
        call = WatchedCall(ScreenOutlet((), labelled, nobody, nobody), TOOLS, tool, results, is_json=True)
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert [call.feed(piece) for piece in pieces] == pieces
        assert call.finish() + call.more() == ""
        assert (call.blocked, call.waits, call.heard_bytes) == (False, False, len(text))
        assert rulings(call) == ([("tools", code, False)] if code else [])


def test_free_text_is_no_fault_of_a_call_whose_tool_takes_it() -> None:
    call = WatchedCall(ScreenOutlet((), labelled, nobody, nobody), TOOLS, "search", (), is_json=False)
    assert call.feed("what is new") + call.finish() == "what is new"
    assert rulings(call) == []
