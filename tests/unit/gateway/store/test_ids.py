from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.ids import RequestIds

MS = 1_000_000


def test_ids_sort_by_time_and_then_by_count() -> None:
    ids = RequestIds(b"\x01\x02\x03\x04\x05")
    made = [ids.next(ms * MS) for ms in (1_800_000_000_000, 1_800_000_000_000, 1_800_000_000_001, 1_800_000_000_255)]
    assert made == sorted(made)
    assert made[0] == "req_01a3185c5000" + "0102030405" + "00000001"


def test_ids_of_two_workers_differ_in_the_same_millisecond() -> None:
    assert RequestIds(b"aaaaa").next(MS) != RequestIds(b"bbbbb").next(MS)


def test_an_id_has_the_same_length_at_any_time() -> None:
    ids = RequestIds(b"aaaaa")
    assert {len(ids.next(ns)) for ns in (0, MS, 2**62)} == {34}


def test_a_worker_must_bring_its_whole_random() -> None:
    with pytest.raises(ValueError, match="5 random bytes"):
        RequestIds(b"1234")


@given(st.lists(st.integers(0, 2**62), max_size=50))
def test_a_worker_never_makes_an_id_twice_even_if_time_stands_or_goes_back(times_ns: list[int]) -> None:
    ids = RequestIds(b"aaaaa")
    made = [ids.next(ns) for ns in times_ns]
    assert len(set(made)) == len(made)
