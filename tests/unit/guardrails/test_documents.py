import pytest

from guardrails.documents import DEEPEST, Flaw, Unreadable, read


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ('{"a": [1, -2.5, "\\"[[[["], "b": null}', {"a": [1, -2.5, '"[[[['], "b": None}),
        (" true\n", True),
        ("[" * DEEPEST + "]" * DEEPEST, None),
        ("[[]," * DEEPEST + "[]" + "]" * DEEPEST, Flaw.TOO_DEEP),
        ("[" * 1_000_000, Flaw.TOO_DEEP),
        ('{"a":' * 1_000_000, Flaw.TOO_DEEP),
        ('{"a": 1, "a": 1}', Flaw.TWICE),
        ('[{"b": {"a": 1, "a": 2}}]', Flaw.TWICE),
        ('{"a": 1', Flaw.NO_JSON),
        ('{"a": 1} {"a": 1}', Flaw.NO_JSON),
        ("", Flaw.NO_JSON),
        ("NaN", Flaw.NO_JSON),
        ("[-Infinity]", Flaw.NO_JSON),
        ("1e999", Flaw.NO_JSON),
        ("9" * 5_000, Flaw.NO_JSON),
        ('"never ended\\', Flaw.NO_JSON),
    ],
)
def test_a_text_is_one_document_that_every_reader_reads_alike(text: str, held: object) -> None:
    if not isinstance(held, Flaw):
        assert read(text) == held or held is None
        return
    with pytest.raises(Unreadable) as raised:
        read(text)
    assert raised.value.flaw is held


def test_strings_that_never_end_take_no_longer_than_others() -> None:
    """A pattern that tried each quote anew would take hours."""
    with pytest.raises(Unreadable):
        read('"' + '\\"' * 2_000_000 + "\\")


def test_an_error_does_not_hold_the_text() -> None:
    with pytest.raises(Unreadable) as raised:
        read('{"name": "Ada Lovelace"')
    assert raised.value.__cause__ is None
    assert "Ada" not in str(raised.value)
