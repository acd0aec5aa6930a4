import pytest

from guardrails.patterns import automaton
from guardrails.patterns.automaton import DEAD, Automaton
from guardrails.patterns.scan import Scan
from guardrails.patterns.syntax import PatternError


def test_a_state_is_dead_as_soon_as_nothing_can_match() -> None:
    machine = Automaton(["ab"])
    assert machine.move(machine.start, "x") is DEAD
    after_a = machine.move(machine.start, "a")
    assert after_a.quiet
    assert machine.move(after_a, "b").accepts == (0,)
    assert machine.move(after_a, "a") is DEAD


def test_states_are_counted_up_to_a_bound() -> None:
    assert Automaton(["abc"]).count_states(100) < 8
    assert Automaton(["(a|b)*a(a|b){14}"]).count_states(200) == 201


def test_a_pattern_that_is_judged_needs_a_longest_match() -> None:
    with pytest.raises(PatternError, match="longest match"):
        Automaton(["a+"], frozenset({0}))


@pytest.mark.parametrize(
    ("pattern", "tells"),
    [
        (r"\d{3}", True),
        (r"\b\w+@\w+", True),
        ("sk-x", True),
        ("word", False),
        (r"[a+-]{3}", False),
        (r"a b1", False),
        (r".\d", False),
    ],
)
def test_patterns_that_need_a_telling_character_are_known(pattern: str, tells: bool) -> None:
    assert (Automaton([pattern]).telling is not None) is tells


def test_what_is_remembered_is_forgotten_at_its_bound_and_matches_stay_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "".join(chr(0x4E00 + number) + "abab" for number in range(300))
    scan = Scan(Automaton(["(?:ab)+"]))
    expected = scan.feed(text) + scan.finish()
    monkeypatch.setattr(automaton, "MOST_REMEMBERED", 20)
    scan = Scan(Automaton(["(?:ab)+"]))
    assert scan.feed(text) + scan.finish() == expected
    assert len(expected) == 300
