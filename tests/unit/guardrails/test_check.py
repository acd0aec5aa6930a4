from guardrails.check import Need, Nonsense, Sight


def test_sights_are_ordered_by_how_long_they_hold_back() -> None:
    assert list(Sight) == [Sight.PATTERN, Sight.SEGMENT, Sight.WHOLE]


def test_a_need_says_what_is_to_be_called_with_what() -> None:
    need = Need("classifier", "injection", "a text", 3)
    assert (need.kind, need.name, need.text, need.number) == ("classifier", "injection", "a text", 3)
    assert issubclass(Nonsense, ValueError)
