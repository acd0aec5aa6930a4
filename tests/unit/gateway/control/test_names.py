from __future__ import annotations

import msgspec
import pytest

from gateway.config.leaves import Name
from gateway.control import names


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "not empty"),
        ("a/b", 'character 2 is "/"'),
        ("a b", "character 2 is a space"),
        ("\u0430cme", "character 1 is U+0430 (CYRILLIC SMALL LETTER A)"),
        ("ac\u200bme", "character 3 is U+200B (ZERO WIDTH SPACE)"),
        ("acme\n", "character 5 is U+000A (a control character)"),
        ("a\ud800", "character 2 is U+D800"),
        (".acme", 'begins with a letter or a digit, not with "."'),
        ("a" * 65, "at most 64 characters, this one has 65"),
        ("\uff41cme", "FULLWIDTH LATIN SMALL LETTER A"),
    ],
)
def test_what_keeps_it_from_being_a_name_is_shown_so_that_it_can_be_seen(name: str, told: str) -> None:
    assert told in (names.problem(name) or "")


@pytest.mark.parametrize("name", ["acme", "A.b_c-9", "0", "a" * 64, "a\n", "a/b", "", "é", "-a"])
def test_names_are_those_of_the_configuration(name: str) -> None:
    try:
        msgspec.convert(name, Name)
        good = True
    except msgspec.ValidationError:
        good = False
    assert (names.problem(name) is None) == good


def test_a_name_in_a_message_holds_nothing_that_cannot_be_seen() -> None:
    assert names.visible("a\nb\ud800") == "a\\nb\\ud800"
    assert len(names.visible("a" * 500)) == 80
