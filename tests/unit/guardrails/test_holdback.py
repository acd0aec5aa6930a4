from guardrails.holdback import Holdback
from guardrails.verdict import Action, Finding


def _holdback(text: str, *spans: tuple[int, int, Action, str]) -> Holdback:
    holdback = Holdback(lambda _, code, part: f"<{code}:{len(part)}>")
    holdback.add(text)
    for rank, (start, end, action, code) in enumerate(spans):
        holdback.hold(Finding("check", code, 1.0, start, end), action, rank)
    return holdback


def test_text_leaves_up_to_what_is_settled() -> None:
    holdback = _holdback("0123456789")
    assert [holdback.release(at) for at in (4, 4, 10)] == ["0123", "", "456789"]


def test_a_masked_part_leaves_only_as_its_mask_and_only_when_nothing_can_overlap_it() -> None:
    holdback = _holdback("0123456789", (3, 6, Action.MASK, "A"))
    assert [holdback.release(at) for at in (2, 5, 6, 10)] == ["01", "2", "<A:3>", "6789"]


def test_parts_that_overlap_are_one_and_the_first_then_longest_then_lowest_rank_names_it() -> None:
    overlapping = [
        (3, 5, Action.MASK, "B"),
        (3, 6, Action.MASK, "A"),
        (5, 8, Action.MASK, "C"),
        (8, 9, Action.MASK, "D"),
    ]
    assert _holdback("0123456789", *overlapping).release(10) == "012<A:5><D:1>9"
    same = [(3, 6, Action.MASK, "A"), (3, 6, Action.MASK, "B")]
    assert _holdback("0123456789", *same).release(10) == "012<A:3>6789"


def test_a_block_ends_the_text_where_its_part_begins() -> None:
    holdback = _holdback("0123456789", (4, 6, Action.BLOCK, "X"), (1, 2, Action.MASK, "A"))
    assert holdback.release(4) == "0<A:1>23"
    assert holdback.blocked_at == 4
    assert holdback.release(10) == ""


def test_what_overlaps_with_a_block_does_not_leave_at_all() -> None:
    holdback = _holdback("0123456789", (2, 6, Action.MASK, "A"), (5, 8, Action.BLOCK, "X"))
    assert holdback.release(10) == "01"
    assert holdback.blocked_at == 5
