"""gateway.offload.masks"""

from __future__ import annotations

import pytest

from gateway.offload import masks
from gateway.offload.masks import Masks


def test_what_is_given_is_kept_under_its_name_until_something_else_is() -> None:
    kept = Masks()
    assert kept.answer("a", b"") == b""
    assert kept.answer("a", b"one") == b""
    kept.answer("b", b"two")
    assert (kept.answer("a", b""), kept.answer("b", b"")) == (b"one", b"two")
    kept.answer("a", b"other")
    assert (kept.answer("a", b""), kept.answer("b", b"")) == (b"other", b"two")


def test_it_is_kept_for_a_day() -> None:
    now_s = [0.0]
    kept = Masks(lambda: now_s[0])
    kept.answer("a", b"one")
    now_s[0] = masks.KEPT_S - 1
    assert kept.answer("a", b"") == b"one"
    kept.answer("b", b"two")
    now_s[0] = masks.KEPT_S
    assert (kept.answer("a", b""), kept.answer("b", b"")) == (b"", b"two")


@pytest.mark.parametrize(("size", "most"), [(1, masks.MOST), (masks.MOST_BYTES // 4, 4)])
def test_of_too_much_the_oldest_goes(size: int, most: int) -> None:
    kept = Masks()
    given = bytes(size)
    for number in range(most + 2):
        kept.answer(str(number), given)
    found = [number for number in range(most + 2) if kept.answer(str(number), b"")]
    assert found[-1] == most + 1
    assert most - 2 <= len(found) <= most
    assert found == list(range(found[0], most + 2))
