from __future__ import annotations

import pytest

from gateway.wire.otlp import sent


@pytest.mark.parametrize(
    ("number", "word"), [(0, ""), (1, "internal"), (3, "client"), (5, "consumer"), (6, ""), (-1, "")]
)
def test_kinds_are_words(number: int, word: str) -> None:
    assert sent.kind_of(number) == word
