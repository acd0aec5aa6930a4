"""A screen run to its end by somebody who answers."""

from __future__ import annotations

from typing import Any

from guardrails.jsontext import JsonText
from guardrails.running import Running, Unmet, run
from guardrails.screen import Call, Screen
from guardrails.settings import chain_of
from guardrails.verdict import Action, Phase

MASK: dict[str, Any] = {"check": "pii", "phase": "input", "action": "mask", "entities": ["EMAIL_ADDRESS"]}
ASK: dict[str, Any] = {"check": "injection", "phase": "input", "action": "block"}
TEXT = "Write to joe@example.org, and leave out the rest."


def screen(*entries: dict[str, Any]) -> Screen:
    return Screen(chain_of("c", entries).rows(Phase.INPUT))


def scored(score: float) -> Any:
    return lambda call: score


def late(call: Call) -> object:
    raise Unmet("late")


def test_needs_are_met_and_the_whole_text_leaves() -> None:
    for pieces in ([TEXT], list(TEXT)):
        out = run(screen(MASK, ASK), pieces, scored(0.1))
        assert len(out) == len(pieces) + 1
        assert "".join(out[:-1]) == ""  # a whole text is judged
        assert out[-1] == "Write to [EMAIL_ADDRESS], and leave out the rest."


def test_what_leaves_after_each_piece_is_told() -> None:
    assert run(screen(MASK), ["hello ", "joe@exam", "ple.org now"], scored(0)) == [
        "hello ",
        "",
        "[EMAIL_ADDRESS] ",
        "now",
    ]


def test_a_need_that_is_not_met_does_what_the_chain_says_of_failures() -> None:
    for mode, left in (("fail_open", TEXT), ("fail_closed", "")):
        found = screen({**ASK, "on_failure": mode})
        assert "".join(run(found, [TEXT], late)) == left
        assert [(each.reason, each.closed) for each in found.verdict().failures] == [("late", mode == "fail_closed")]


def test_nobody_is_asked_after_a_block() -> None:
    asked: list[Call] = []

    def perform(call: Call) -> object:
        asked.append(call)
        return 1.0

    found = screen(ASK, {"check": "model", "phase": "input", "action": "block", "target": "m", "code": "bad"})
    run(found, [TEXT], perform)
    assert found.verdict().action is Action.BLOCK
    assert [call.need.kind for call in asked] == ["classifier", "model"]  # both were asked for at once
    toxic = screen({"check": "toxicity", "phase": "input", "action": "block"})
    asked.clear()
    run(toxic, ["a" * 100 + ". ", "b" * 100 + ". ", "c"], perform)
    assert len(asked) == 1


def test_the_texts_of_a_json_document_can_be_run() -> None:
    document = JsonText(lambda: Running(screen(MASK, ASK), scored(0)))
    assert document.feed('{"to": "joe@example.org"}') + document.finish() == '{"to": "[EMAIL_ADDRESS]"}'
