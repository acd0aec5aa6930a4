import pytest

from guardrails.patterns.program import Program
from guardrails.patterns.syntax import PatternError


def test_patterns_are_numbered_and_their_longest_matches_known() -> None:
    program = Program()
    assert [program.add("ab?"), program.add("c+")] == [0, 1]
    assert program.longest == [2, None]
    assert len(program.entries) == 2


def test_repetitions_of_repetitions_that_grow_too_large_are_refused() -> None:
    with pytest.raises(PatternError, match="more than 3000 steps"):
        Program().add("((a{50}){50}){50}")


@pytest.mark.parametrize("pattern", ["", "a*", "(a|)", r"\b", "^$"])
def test_a_pattern_that_matches_nothing_at_all_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="empty text"):
        Program().add(pattern)
