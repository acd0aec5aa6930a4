from __future__ import annotations

from gateway.policy.overhead import MARGIN_TOKENS, MESSAGE_BYTES, TEMPLATE_TOKENS, TOOLS_TOKENS, Overhead
from gateway.wire.tokenize import TOOL


def numbers(overhead: Overhead) -> tuple[int, int, int]:
    return overhead.template, overhead.tools, overhead.each


def measured(*counts: int | None) -> tuple[int, int, int]:
    overhead = Overhead()
    overhead.measured("one", counts)
    return numbers(overhead)


def test_an_ordinary_template_changes_nothing_of_what_is_assumed() -> None:
    assert measured(35, 47, 180, 205) == numbers(Overhead()) == (TEMPLATE_TOKENS, TOOLS_TOKENS, 0)


def test_a_long_template_raises_what_is_assumed_and_leaves_a_margin() -> None:
    assert measured(3000, 3010, 3100, 3110) == (3000 + MARGIN_TOKENS, TOOLS_TOKENS, 0)


def test_much_said_about_tools_raises_what_is_added_with_them() -> None:
    assert measured(20, 30, 2020, 2030) == (TEMPLATE_TOKENS, 2000, 0)


def test_of_two_messages_more_one_is_taken_to_have_made_all() -> None:
    assert measured(50, 50 + MESSAGE_BYTES + 9, None, None) == (TEMPLATE_TOKENS, TOOLS_TOKENS, 9)


def test_a_tool_that_is_told_in_more_tokens_than_bytes_counts_so() -> None:
    assert measured(50, 60, 300, 300 + len(TOOL) + 5) == (TEMPLATE_TOKENS, TOOLS_TOKENS, 5)


def test_what_a_model_cannot_count_stays_assumed() -> None:
    assert measured(None, 900, 900, 900) == numbers(Overhead())
    assert measured(3000, None, None, None) == (3000 + MARGIN_TOKENS, TOOLS_TOKENS, 0)


def test_the_most_of_any_endpoint_stands_until_it_counts_anew() -> None:
    overhead = Overhead()
    overhead.measured("one", (3000, 3010, 5000, 5010))
    overhead.measured("two", (20, 80, 40, 50))
    assert numbers(overhead) == (3000 + MARGIN_TOKENS, 2000, 60 - MESSAGE_BYTES)
    overhead.measured("one", (20, 30, 40, 50))
    assert numbers(overhead) == (TEMPLATE_TOKENS, TOOLS_TOKENS, 60 - MESSAGE_BYTES)
