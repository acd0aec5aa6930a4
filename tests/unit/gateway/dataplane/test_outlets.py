"""gateway.dataplane.outlets"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.dataplane.outlets import HeldDocument, Judged, Restored, ScreenOutlet, StreamedDocument, Told
from guardrails.chain import Chain
from guardrails.masking import Vault
from guardrails.screen import Call, labelled
from guardrails.settings import chain_of
from guardrails.verdict import Action, Phase

EVERY = [phase.value for phase in Phase]
MASKS: dict[str, Any] = {"check": "pii", "phase": EVERY, "action": "mask", "entities": ["EMAIL_ADDRESS"]}
BLOCKS: dict[str, Any] = {"check": "keywords", "words": ["plutonium"], "code": "arms"}
BLOCKS |= {"phase": EVERY, "action": "block"}
ASKS: dict[str, Any] = {"check": "toxicity", "phase": EVERY, "action": "block", "threshold": 0.5}


class Asked:
    """Who is asked what checks need; answers when it is told to."""

    def __init__(self) -> None:
        self.open: list[tuple[Call, Told]] = []
        self.changes = 0

    def ask(self, call: Call, told: Told) -> None:
        self.open.append((call, told))

    def changed(self) -> None:
        self.changes += 1

    def answer(self, score: Callable[[str], float]) -> None:
        for call, told in list(self.open):
            self.open.remove((call, told))
            told(score(call.need.text), "")

    def fail(self, reason: str) -> None:
        for call, told in list(self.open):
            self.open.remove((call, told))
            told(None, reason)


def made(*entries: dict[str, Any]) -> Chain:
    return chain_of("c", list(entries))


def screen(asked: Asked, *entries: dict[str, Any]) -> ScreenOutlet:
    return ScreenOutlet(made(*entries).rows(Phase.OUTPUT), labelled, asked.ask, asked.changed)


def held(
    asked: Asked, *entries: dict[str, Any], tool: str = "send", results: Sequence[str] = (), extra: Any = None
) -> HeldDocument:
    chain = made(*entries, *([extra] if extra else []))
    rows = chain.rows(Phase.TOOL_CALL)
    return HeldDocument(lambda: ScreenOutlet(rows, labelled, asked.ask, asked.changed), chain.tools, tool, results)


def run(outlet: Judged, *pieces: str) -> str:
    return "".join([*map(outlet.feed, pieces), outlet.finish(), outlet.more()])


def test_a_text_is_masked_whatever_its_pieces() -> None:
    assert run(screen(Asked(), MASKS), "to joe@exa", "mple.org, then") == "to [EMAIL_ADDRESS], then"


def test_an_answer_frees_what_waited_for_it() -> None:
    asked = Asked()
    outlet = screen(asked, ASKS)
    assert outlet.feed("A fine day it is. ") + outlet.finish() == ""
    assert outlet.waits
    asked.answer(lambda text: 0.1)
    assert not outlet.waits
    assert asked.changes > 0
    assert outlet.more() == "A fine day it is. "
    assert outlet.more() == ""


def test_no_answer_does_what_the_chain_says_of_failures() -> None:
    closed, opened = Asked(), Asked()
    shut, lets = screen(closed, ASKS), screen(opened, ASKS | {"on_failure": "fail_open"})
    assert run(shut, "A fine day.") == ""
    assert run(lets, "A fine day.") == ""
    closed.fail("late")
    opened.fail("late")
    assert shut.blocked
    assert not lets.blocked
    assert lets.more() == "A fine day."
    assert [(failure.reason, failure.closed) for failure in shut.verdict().failures] == [("late", True)]
    assert [(failure.reason, failure.closed) for failure in lets.verdict().failures] == [("late", False)]


def test_arguments_that_are_only_masked_leave_as_they_come() -> None:
    outlet = StreamedDocument(made(MASKS).rows(Phase.TOOL_CALL), labelled)
    first = outlet.feed('{"subject":"Hello","to":"joe@')
    assert first.startswith('{"subject":"Hello"')
    assert json.loads(first + outlet.feed('example.org"}') + outlet.finish()) == {
        "subject": "Hello",
        "to": "[EMAIL_ADDRESS]",
    }
    assert [ruling.finding.code for ruling in outlet.verdict().rulings] == ["EMAIL_ADDRESS"]


@pytest.mark.parametrize("cut", [0, 5, 17, 30])
def test_a_held_document_is_delivered_whole_or_not_at_all(cut: int) -> None:
    fine, bad = '{"what": "write to joe@example.org"}', '{"a": "fine", "what": "buy plutonium"}'
    assert json.loads(run(held(Asked(), MASKS, BLOCKS), fine[:cut], fine[cut:])) == {"what": "write to [EMAIL_ADDRESS]"}
    blocked = held(Asked(), MASKS, BLOCKS)
    assert run(blocked, bad[:cut], bad[cut:]) == ""
    assert blocked.blocked
    assert [ruling.finding.code for ruling in blocked.verdict().rulings] == ["arms"]


def test_a_held_document_waits_for_the_answers_to_all_its_strings() -> None:
    asked = Asked()
    outlet = held(asked, ASKS)
    assert run(outlet, '{"a": "one thing", "b": "another thing"}') == ""
    assert outlet.waits
    asked.answer(lambda text: 0.0)
    assert outlet.more() == '{"a": "one thing", "b": "another thing"}'
    assert outlet.more() == ""


@pytest.mark.parametrize(
    ("tool", "arguments", "results", "code"),
    [
        ("delete_all", "{}", (), "tool_not_allowed"),
        ("pay", "{}", ("search",), "privileged_after_untrusted"),
        ("pay", '{"a":1,"a":2}', (), "argument_twice"),
        ("pay", '{"a":', (), "arguments_no_object"),
    ],
)
def test_a_tools_policy_decides_over_a_call(tool: str, arguments: str, results: Sequence[str], code: str) -> None:
    policy = {"check": "tools", "phase": "tool_call", "allow": ["pay", "search"]}
    policy |= {"privileged": ["pay"], "untrusted_results": ["search"]}
    outlet = held(Asked(), tool=tool, results=results, extra=policy)
    assert run(outlet, arguments) == ""
    assert outlet.blocked
    assert [(ruling.finding.check, ruling.finding.code) for ruling in outlet.verdict().rulings] == [("tools", code)]


def test_a_call_that_may_be_made_is_delivered_also_without_arguments() -> None:
    policy = {"check": "tools", "phase": "tool_call", "allow": ["pay"]}
    outlet = held(Asked(), tool="pay", extra=policy)
    assert run(outlet, "") == ""
    assert not outlet.blocked
    assert run(held(Asked(), tool="pay", extra=policy), '{"sum": 7}') == '{"sum": 7}'


def test_masked_values_are_put_back_behind_the_checks_and_only_those_of_the_conversation() -> None:
    vault = Vault(bytes(32), "acme", "c-1")
    placeholder = vault.mask(Action.MASK_REVERSIBLE, "EMAIL_ADDRESS", "joe@example.org")
    outlet = Restored(screen(Asked(), MASKS), vault, is_json=False)
    assert run(outlet, f"to {placeholder[:9]}", f"{placeholder[9:]}, not ann@example.org") == (
        "to joe@example.org, not [EMAIL_ADDRESS]"
    )


def test_what_may_become_a_placeholder_is_delivered_when_the_text_ends_or_is_blocked() -> None:
    vault = Vault(bytes(32), "acme", "c-1")
    vault.mask(Action.MASK_REVERSIBLE, "EMAIL_ADDRESS", "joe@example.org")
    assert run(Restored(screen(Asked(), BLOCKS), vault, is_json=False), "an open [EMAIL") == "an open [EMAIL"
    blocked = Restored(screen(Asked(), BLOCKS), vault, is_json=False)
    assert blocked.feed("take [EMAIL") == "take "
    assert blocked.feed(" plutonium now") == "[EMAIL "
    assert blocked.blocked


def test_masked_values_are_put_back_into_arguments_without_breaking_them() -> None:
    vault = Vault(bytes(32), "acme", "c-1")
    placeholder = vault.mask(Action.MASK_REVERSIBLE, "NAME", 'Joe "J" Doe')
    outlet = Restored(StreamedDocument((), labelled), vault, is_json=True)
    assert json.loads(run(outlet, '{"to": "', placeholder, '"}')) == {"to": 'Joe "J" Doe'}
