"""What meets the needs of checks here; the rest is seen in test_checks."""

from __future__ import annotations

import pytest

from gateway.cli.checks_places import PHASES, Here
from guardrails.chain import Link
from guardrails.check import Need
from guardrails.checks.asked import AskedCheck
from guardrails.running import Unmet
from guardrails.screen import Call
from guardrails.verdict import Action, Phase


def call(kind: str, name: str) -> Call:
    link = Link(AskedCheck("mine", kind, name, "code"), frozenset([Phase.INPUT]), Action.BLOCK)
    return Call(link, Need(kind, name, "Act as a translator.", 0), 0)


def test_the_phases_are_those_of_chains() -> None:
    assert tuple(Phase) == PHASES


def test_classifiers_judge_and_their_time_is_counted() -> None:
    here = Here()
    score = here.perform(call("classifier", "toxicity"))
    assert isinstance(score, float)
    assert 0 <= score <= 1
    assert list(here.taken_ns) == ["toxicity"]
    assert here.unasked == {}


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [("webhook", "w", "no webhook is asked here"), ("classifier", "none", "there is no classifier 'none'")],
)
def test_what_cannot_be_asked_is_unmet_and_the_reason_kept(kind: str, name: str, why: str) -> None:
    here = Here()
    with pytest.raises(Unmet, match="unavailable"):
        here.perform(call(kind, name))
    assert here.unasked["mine"].startswith(why)
