from __future__ import annotations

import pytest

from gateway.errors import ConfigError
from gateway.store.control.migrations import POSTGRES, SQLITE, STEPS, pending


@pytest.mark.parametrize("words", [SQLITE, POSTGRES], ids=["sqlite", "postgresql"])
def test_a_store_gets_the_steps_it_lacks_and_is_then_of_our_schema(words: dict[str, str]) -> None:
    everything = pending(0, words, "x")
    assert len(everything) == sum(map(len, STEPS)) + 1
    assert not any("{" in statement for statement in everything)
    assert pending(1, words, "x") == [*everything[len(STEPS[0]) : -1], everything[-1]]
    assert everything[-1].endswith(f"SET value = '{len(STEPS)}' WHERE name = 'schema'")
    assert pending(len(STEPS), words, "x") == []


def test_a_newer_schema_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"control\.sqlite was written by a newer Lockgate .*start that version, or"):
        pending(len(STEPS) + 1, SQLITE, "control.sqlite")
