from guardrails.offsets import Made, Offsets


def test_a_text_that_was_not_changed_maps_to_itself() -> None:
    assert Offsets.same(5).span(1, 3) == (1, 3)
    assert Offsets.same(5).span(5, 5) == (5, 5)


def test_a_piece_put_for_another_maps_to_all_of_it() -> None:
    made = Made()
    made.copy("ab", 0)
    made.put("X", 2, 6)
    made.copy("c", 6)
    text, offsets = made.done()
    assert text == "abXc"
    assert offsets.span(2, 3) == (2, 6)
    assert offsets.span(1, 4) == (1, 7)
    assert offsets.span(4, 4) == (7, 7)


def test_offsets_of_a_text_made_in_two_turns_lead_to_the_first() -> None:
    outer = Offsets([0, 4, 8], [4, 8, 12])
    assert outer.of(Offsets([1, 2], [2, 3])).span(0, 2) == (4, 12)
    assert Offsets.same(3).of(Offsets([1], [2])).span(0, 1) == (1, 2)


def test_an_empty_text_has_one_place() -> None:
    assert Offsets.same(0).span(0, 0) == (0, 0)
