from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.authority import (
    BucketState,
    Lease,
    Reply,
    Report,
    decode,
    encode,
    exchange,
    exchange_stored,
    raise_to,
    settle_dead,
    state_id_of,
    sums,
)

NOW_S = 1_800_000_000
OWNER = "state:0-1"
OTHER = "state:1-1"


def report(**changes: Any) -> Report:
    return Report(**{"key": "k", "cap": 100, **changes})


def ask(state: BucketState, owner: str = OWNER, now_s: int = NOW_S, **changes: Any) -> Reply:
    return exchange(state, owner, report(**changes), now_s)


def test_a_slice_taken_ahead_is_an_eighth_of_what_is_left() -> None:
    assert ask(BucketState(), want=1000).granted == 12
    assert ask(BucketState(), want=5).granted == 5


def test_who_waits_gets_what_it_needs_while_it_is_there() -> None:
    assert ask(BucketState(), least=60, need=80, want=900).granted == 80
    assert ask(BucketState(), least=60, need=300, want=900).granted == 100


def test_less_than_is_of_use_is_not_granted() -> None:
    reply = ask(BucketState(settled=90), least=11, want=50)
    assert (reply.granted, reply.available) == (0, 10)


def test_a_lost_reply_is_told_again_and_grants_nothing_twice() -> None:
    state = BucketState()
    assert ask(state, least=10, need=10, known=False).granted == 10
    assert ask(state, least=10, need=10, known=False).granted == 10
    assert ask(state, least=5, need=5, granted=10).granted == 15
    assert ask(state, least=5, need=5, granted=10).granted == 15
    assert state.leased() == 15


def test_a_repeated_report_spends_once() -> None:
    state = BucketState()
    ask(state, known=False, least=10)
    for _ in range(3):
        ask(state, granted=10, spent=4, spends=[(0, 4)])
    assert (state.settled, state.leases[OWNER].unspent) == (4, 6)


def test_a_repeated_report_with_more_in_it_adds_only_what_is_new() -> None:
    state = BucketState()
    rolls: dict[str, Any] = {"window_s": 60, "slot_s": 1}
    ask(state, known=False, least=20, **rolls)
    ask(state, granted=20, spent=5, spends=[(NOW_S, 5)], **rolls)
    ask(state, now_s=NOW_S + 1, granted=20, spent=10, spends=[(NOW_S, 8), (NOW_S + 1, 2)], **rolls)
    assert state.slots == {NOW_S: 8, NOW_S + 1: 2}
    assert state.used(NOW_S + 1) == 10


def test_what_is_given_back_can_be_granted_to_another() -> None:
    state = BucketState()
    ask(state, known=False, least=90, need=90)
    assert ask(state, OTHER, known=False, least=20).granted == 0
    ask(state, granted=90, spent=10, spends=[(0, 10)], returned=80)
    reply = ask(state, OTHER, known=False, least=20)
    assert (reply.granted, reply.available, reply.elsewhere) == (20, 70, 0)


def test_the_unspent_part_of_other_owners_is_told() -> None:
    state = BucketState()
    ask(state, known=False, least=90, need=90)
    assert ask(state, OTHER, known=False, least=20).elsewhere == 90


def test_a_lowered_cap_grants_nothing_until_there_is_room() -> None:
    state = BucketState(settled=60)
    assert ask(state, cap=50, least=1).granted == 0
    assert ask(state, cap=61, least=1).granted == 1
    assert ask(BucketState(), cap=0, least=1).granted == 0


def test_a_store_that_lost_what_it_was_told_is_told_again() -> None:
    state = BucketState()
    reply = ask(state, granted=50, spent=30, spends=[(0, 5)], returned=10, least=90, need=90)
    assert (state.settled, state.leases[OWNER].unspent, reply.available) == (30, 10, 60)
    rolls = BucketState()
    ask(rolls, granted=50, spent=30, spends=[(NOW_S - 2, 5)], window_s=60, slot_s=1)
    assert rolls.slots == {NOW_S: 25, NOW_S - 2: 5}  # when the lost ones were spent nobody knows: now


def test_an_owner_that_begins_anew_learns_its_sums() -> None:
    state = BucketState(leases={OWNER: Lease(50, 30, 20, life=1)}, settled=30)
    reply = ask(state, known=False, least=5, life=2)
    assert (reply.granted, reply.spent, reply.returned) == (35, 30, 0)
    assert state.leases[OWNER].unspent == 5


def test_what_an_earlier_life_had_given_back_is_not_taken_for_given_back_again() -> None:
    """A store that went back in time knows the lease as it was then."""
    state = BucketState(leases={OWNER: Lease(9, 0, 9, life=1)})
    ask(state, granted=5, spent=2, spends=[(0, 2)], life=2)
    assert (state.settled, state.leases[OWNER].unspent) == (2, 3)
    state = BucketState(leases={OWNER: Lease(40, 0, 0, life=1)})
    assert ask(state, known=False, life=2).elsewhere == 0
    assert state.leased() == 0


def test_a_rolling_window_counts_a_slot_until_its_end_has_left() -> None:
    state = BucketState(slots={NOW_S: 70}, window_s=60, slot_s=10)
    here = NOW_S // 10
    state.slots = {here: 70}
    rolls: dict[str, Any] = {"window_s": 60, "slot_s": 10, "least": 31}
    assert ask(state, now_s=NOW_S + 69, **rolls).granted == 0
    assert ask(state, now_s=NOW_S + 69, **rolls).frees_s == 1
    assert ask(state, now_s=NOW_S + 70, **rolls).granted == 31


def test_what_lies_in_the_future_counts_from_now_on() -> None:
    state = BucketState(slots={NOW_S + 3600: 70}, window_s=60, slot_s=1)
    assert ask(state, window_s=60, slot_s=1, least=31).granted == 0
    assert ask(state, now_s=NOW_S + 61, window_s=60, slot_s=1, least=31).granted == 31


def test_a_clock_that_jumped_ahead_and_back_finds_what_was_spent() -> None:
    state = BucketState(slots={NOW_S: 70}, window_s=60, slot_s=1)
    ask(state, now_s=NOW_S + 3600, window_s=60, slot_s=1)
    assert ask(state, now_s=NOW_S + 1, window_s=60, slot_s=1, least=31).granted == 0


def test_a_dead_owner_counts_as_spent_until_its_journal_was_read() -> None:
    state = BucketState()
    ask(state, known=False, least=90, need=90)
    assert ask(state, OTHER, known=False, least=20).granted == 0
    for _ in range(2):  # the keeper may have died before it noted that this was done
        settle_dead(state, OWNER, [(0, 30)], NOW_S)
    assert (state.settled, state.retired) == (30, {"state": 30})
    assert ask(state, OTHER, known=False, least=20).granted == 20


def test_reconciling_raises_and_never_adds_twice() -> None:
    state = BucketState(settled=30, retired={"state": 30}, window_s=60, slot_s=1, slots={NOW_S: 30})
    for _ in range(2):
        raise_to(state, "state", [(NOW_S - 1, 20), (NOW_S, 25)], NOW_S)
        raise_to(state, OWNER, [(NOW_S, 7)], NOW_S)
    assert (state.settled, state.used(NOW_S)) == (52, 52)
    assert sums(state) == {"state": 45, OWNER: 7}
    assert state.leases[OWNER].unspent == 0
    assert state_id_of(OWNER) == "state"


def test_what_a_live_owner_told_again_is_not_raised_to_what_the_ledger_read_since() -> None:
    """The owner tells the rest itself, from that place on; were it raised, the rest would count twice if it died."""
    state = BucketState()
    ask(state, known=False, least=50, need=50)
    ask(state, granted=50, spent=10, spends=[(0, 10)], segment=1, offset=40)
    ask(state, granted=50, spent=10, segment=1, offset=90, restates=True)
    raise_to(state, OWNER, [(0, 30)], NOW_S, (1, 90))
    settle_dead(state, OWNER, [(0, 20)], NOW_S)
    assert (state.settled, sums(state)) == (30, {"state": 30})


def test_what_a_live_owner_had_dropped_is_raised_as_of_where_it_told_its_leases_again() -> None:
    state = BucketState(leases={OWNER: Lease(granted=50, spent=10, returned=0, segment=1, offset=40)}, settled=10)
    raise_to(state, OWNER, [(0, 30)], NOW_S, (1, 90))
    lease = state.leases[OWNER]
    assert (state.settled, lease.spent, lease.segment, lease.offset) == (30, 30, 1, 90)


def test_a_threshold_is_told_once_and_again_only_after_a_fall() -> None:
    state = BucketState()
    ask(state, known=False, least=100, need=100)
    told = [
        ask(state, granted=100, spent=n, spends=[(0, n)], warn_at=(50, 80)).crossed for n in (49, 50, 60, 79, 85, 99)
    ]
    assert told == [0, 50, 0, 0, 80, 0]
    state.settled = 60
    assert ask(state, granted=100, spent=99, warn_at=(50, 80)).crossed == 0
    state.settled = 81
    assert ask(state, granted=100, spent=99, warn_at=(50, 80)).crossed == 80


def test_a_report_with_nothing_new_leaves_the_bytes_as_they_were() -> None:
    state = BucketState()
    ask(state, known=False, least=10, segment=1, offset=10)
    ask(state, granted=10, spent=3, spends=[(0, 3)], segment=1, offset=90)
    before = encode(state)
    assert ask(state, granted=10, spent=3, least=1000, segment=1, offset=200).granted == 10
    assert encode(state) == before


def test_the_largest_sums_fit_and_none_grows_beyond_64_bits() -> None:
    cap = 2**63 - 1
    state = BucketState(leases={OWNER: Lease(2**63 - 10, 0, 2**63 - 10)})
    reply = ask(state, cap=cap, granted=2**63 - 10, returned=2**63 - 10, least=1, need=cap)
    assert reply.granted == 2**63
    assert decode(encode(state)) == state
    assert ask(state, cap=cap, known=False).granted == 2**63  # it has 10 that it does not know of


@given(
    cap=st.integers(0, 2**63 - 1),
    settled=st.integers(0, 2**62),
    want=st.integers(0, 2**62),
    least=st.integers(0, 2**62),
    more=st.integers(0, 2**62),
)
def test_a_grant_never_exceeds_what_is_left(cap: int, settled: int, want: int, least: int, more: int) -> None:
    state = BucketState(settled=settled)
    reply = ask(state, cap=cap, want=want, least=least, need=least + more)
    assert reply.granted <= max(0, cap - settled)
    assert reply.granted >= least or reply.granted == 0
    assert reply.available == max(0, cap - settled - reply.granted)


def test_what_is_not_a_state_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(b"\xc1")


def test_of_a_state_that_cannot_be_read_nothing_is_granted_and_it_is_left_alone() -> None:
    raw, reply = exchange_stored(b"\xc1", "s:1", Report("k", 100, least=1), 0)
    assert (raw, reply.granted, reply.available) == (b"\xc1", 0, 0)
