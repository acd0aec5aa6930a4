"""What someone does to a control store with a database shell is found, on every kind of store."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from gateway.policy.changes import START, Change, Head, sealed
from gateway.store.control.base import NEW, Broken, ControlStoreDown, Put, Remove, Verified
from tests.support.control_stores import ACME, ALICE, Site, key, put

CHANGES = "lockgate_control_changes"
ENTRIES = "lockgate_control_entries"
COUNT = 6


@pytest.fixture
def place(place: Site) -> Site:
    """A store with six changes: a tenant and three keys are made, one is changed, one revoked."""

    async def run() -> None:
        async with place.store() as store:
            await put(store, Put(ACME, b"{}", NEW), *(Put(key(name), b"1", NEW) for name in "abc"), reason="new")
            await put(store, Put(key("a"), b"2"), now_ns=2)
            await store.apply([Remove(key("b"))], ALICE, "", 3)
            assert await store.revision() == COUNT

    asyncio.run(run())
    return place


def verify(place: Site, *known: Head) -> Verified | Broken:
    async def run() -> Verified | Broken:
        async with place.store() as store:
            return await store.verify(known)

    return asyncio.run(run())


def log(place: Site) -> list[Change]:
    async def run() -> list[Change]:
        async with place.store() as store:
            return await store.changes()

    return asyncio.run(run())


def found(place: Site, *known: Head) -> tuple[int, str]:
    broken = verify(place, *known)
    assert isinstance(broken, Broken)
    return broken.seq, broken.what


def rewrite(place: Site, changes: list[Change]) -> list[Change]:
    """Makes the log these changes with hashes that fit, and the store's own head the last one."""
    head, statements, written = START, [f"DELETE FROM {CHANGES} WHERE seq > {len(changes)}"], []
    for change in changes:
        written.append(sealed(change, head))
        statements.append(
            f"UPDATE {CHANGES} SET reason = '{change.reason}', previous = '{head.hash}', hash = '{written[-1].hash}' "
            f"WHERE seq = {change.seq}"
        )
        head = written[-1].head
    place.sql(*statements, f"UPDATE lockgate_control_meta SET value = '{head}' WHERE name = 'head'")
    return written


def test_what_nobody_touched_is_whole(place: Site) -> None:
    assert verify(place, log(place)[2].head) == Verified(log(place)[-1].head)


EDITS = [
    *("at_ns = at_ns + 1", "principal = 'mallory'", "subject = ''", "via = 'cli'", "request_id = 'req_2'"),
    *("action = 'drop'", "kind = 'project'", "tenant = 'beta'", "name = 'other'", "reason = 'edited'"),
    *("before = OTHER", "after = OTHER", "hash = '" + "0" * 64 + "'"),
]


@pytest.mark.parametrize(("edit", "seq"), [*((edit, 4) for edit in EDITS), *((EDITS[0], n) for n in (1, COUNT))])
def test_an_edit_of_any_change_is_found_where_it_is(place: Site, edit: str, seq: int) -> None:
    other = "CAST('edited' AS BLOB)" if place.kind == "sqlite" else "'edited'::bytea"
    place.sql(f"UPDATE {CHANGES} SET {edit.replace('OTHER', other)} WHERE seq = {seq}")
    assert found(place) == (seq, f"change {seq} was edited: what it says is not what its hash was made of")


@pytest.mark.parametrize("seq", [1, 3, COUNT - 1])
def test_a_removed_change_is_found(place: Site, seq: int) -> None:
    place.sql(f"DELETE FROM {CHANGES} WHERE seq = {seq}")
    assert found(place) == (seq, f"change {seq} is missing: after {seq - 1} comes {seq + 1}")


def test_a_removed_change_is_found_when_those_behind_it_move_up(place: Site) -> None:
    moves = [f"UPDATE {CHANGES} SET seq = {n - 1} WHERE seq = {n}" for n in (4, 5, 6)]
    place.sql(f"DELETE FROM {CHANGES} WHERE seq = 3", *moves)
    assert found(place)[0] == 3


def test_changes_in_another_order_are_found(place: Site) -> None:
    place.sql(
        f"UPDATE {CHANGES} SET seq = 99 WHERE seq = 2",
        f"UPDATE {CHANGES} SET seq = 2 WHERE seq = 3",
        f"UPDATE {CHANGES} SET seq = 3 WHERE seq = 99",
    )
    assert found(place) == (2, "change 2 does not continue change 1: one of them was replaced or moved")


@pytest.mark.parametrize("last", [0, 3, COUNT - 1])
def test_an_end_that_was_cut_off_is_found(place: Site, last: int) -> None:
    place.sql(f"DELETE FROM {CHANGES} WHERE seq > {last}")
    assert found(place)[0] == last + 1


@pytest.mark.parametrize("last", [0, 3, COUNT - 1])
def test_an_end_that_was_cut_off_is_found_by_a_noted_head_when_the_stores_own_was_changed_too(
    place: Site, last: int
) -> None:
    changes = log(place)
    rewrite(place, changes[:last])
    seq, what = found(place)
    assert (seq, f"there was a change {COUNT}" in what) == (last + 1, True)
    place.heads.unlink()
    assert found(place, changes[-1].head) == (seq, what)


def test_a_log_that_was_rewritten_with_hashes_that_fit_is_found_by_a_noted_head(place: Site) -> None:
    changes = log(place)
    rewrite(place, [*changes[:1], msgspec.structs.replace(changes[1], reason="edited"), *changes[2:]])
    assert found(place)[0] == COUNT
    place.heads.unlink()
    assert isinstance(verify(place), Verified)  # this is what the noted heads are for
    place.heads.unlink()
    seq, what = found(place, changes[0].head, changes[3].head)
    assert (seq, what.startswith("change 4 is not the one whose head was noted")) == (4, True)


def test_a_change_that_was_added_by_hand_is_found(place: Site) -> None:
    place.sql(
        f"INSERT INTO {CHANGES} SELECT seq + 1, at_ns, principal, subject, via, request_id, action, kind, tenant, "
        f"name, before, after, reason, hash, hash FROM {CHANGES} WHERE seq = {COUNT}"
    )
    assert found(place)[0] == COUNT + 1


@pytest.mark.parametrize(
    ("statement", "seq", "what"),
    [
        ("UPDATE {} SET version = 9 WHERE name = 'a'", 5, "the key acme/a is not what change 5 made of it"),
        ("UPDATE {} SET gone_ns = NULL WHERE name = 'b'", 6, "the key acme/b is not what change 6 made of it"),
        ("UPDATE {} SET created_by = 'mallory' WHERE name = 'c'", 4, "the key acme/c is not what change 4 made of it"),
        (
            "UPDATE {} SET document = (SELECT document FROM {} WHERE name = 'acme') WHERE name = 'c'",
            *(4, "the key acme/c is not what change 4 made of it"),
        ),
        ("DELETE FROM {} WHERE name = 'c'", 4, "the key acme/c, of change 4, is missing from the store"),
        ("UPDATE {} SET name = 'd' WHERE name = 'c'", 6, "the key acme/d is in the store, and no change made it"),
    ],
)
def test_an_entry_that_was_changed_past_the_log_is_found(place: Site, statement: str, seq: int, what: str) -> None:
    place.sql(statement.replace("{}", ENTRIES))
    assert found(place) == (seq, what)


def test_a_head_of_another_store_is_told(place: Site) -> None:
    assert found(place, Head(2, "0" * 64))[0] == 2
    assert found(place, Head(99, "0" * 64))[0] == COUNT + 1


def test_a_store_without_its_own_head_is_told(place: Site) -> None:
    place.sql("DELETE FROM lockgate_control_meta WHERE name = 'head'")
    with pytest.raises(ControlStoreDown, match="has lost the head of its change log"):
        verify(place)
