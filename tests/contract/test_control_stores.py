"""One contract for every control store: changes are whole, logged, and of one after the other."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from gateway.clock import within
from gateway.config.entries import Entry, EntryId
from gateway.errors import ConfigError
from gateway.policy.changes import START
from gateway.store.control.base import (
    NEW,
    REMEMBERED_NS,
    Conflict,
    ControlStore,
    Exists,
    Filters,
    Gone,
    Keep,
    NotThere,
    Once,
    Put,
    Remembered,
    Remove,
    Repeated,
    Step,
    Verified,
    Who,
)
from tests.support.control_stores import ACME, ALICE, BOB, Site, fill, key, play, put

PROJECT = EntryId("project", "acme", "search")


def names(entries: list[Entry]) -> list[str]:
    return [entry.name for entry in entries]


def test_a_new_store_is_empty_and_whole(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        assert (await store.revision(), await store.entries(), await store.changes()) == (0, [], [])
        assert await store.changed_since(0) == (0, [])
        assert await store.verify() == Verified(START)

    play(place, scene)


def test_an_entry_is_made_changed_and_removed_and_the_log_tells_it(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        (made,) = await store.apply([Put(ACME, b'{"models":["*"]}', NEW)], ALICE, "a customer", 10)
        assert made == Entry("tenant", "acme", b'{"models":["*"]}', 1, 10, 10, "alice", 1)
        (changed,) = await store.apply([Put(ACME, b"{}", 1)], BOB, "", 20)
        assert changed == Entry("tenant", "acme", b"{}", 2, 10, 20, "alice", 2)
        assert await store.entry(ACME) == changed
        (gone,) = await store.apply([Remove(ACME, 2)], BOB, "left", 30)
        assert gone == Entry("tenant", "acme", b"{}", 3, 10, 30, "alice", 3, gone_ns=30)
        assert await store.entry(ACME) is None
        assert await store.entries() == []
        assert await store.entries(gone=True) == [gone]
        told = [
            (each.seq, each.at_ns, each.principal, each.action, each.before, each.after, each.reason)
            for each in await store.changes()
        ]
        assert told == [
            (1, 10, "alice", "create", None, b'{"models":["*"]}', "a customer"),
            (2, 20, "bob", "update", b'{"models":["*"]}', b"{}", ""),
            (3, 30, "bob", "delete", b"{}", None, "left"),
        ]
        first = (await store.changes())[0]
        assert (first.subject, first.via, first.request_id) == ("alice@example.org", "api", "req_1")
        assert (first.kind, first.tenant, first.name, first.previous) == ("tenant", "", "acme", START.hash)

    play(place, scene)


def test_a_change_of_another_version_is_a_conflict_that_shows_how_it_stands(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        await put(store, Put(ACME, b"1", NEW))
        await put(store, Put(ACME, b"2", 1))
        for step in (Put(ACME, b"3", 1), Remove(ACME, 1), Keep(ACME, 1)):
            with pytest.raises(Conflict) as caught:
                await store.apply([step], BOB, "", 2)
            assert (caught.value.current.document, caught.value.current.version, caught.value.expected) == (b"2", 2, 1)
        await put(store, Put(ACME, b"3"))  # whatever stands there
        assert (await store.apply([Keep(ACME)], BOB, "", 2))[0].document == b"3"
        assert await store.revision() == 3

    play(place, scene)


def test_what_is_there_is_not_made_and_what_is_not_there_is_not_changed(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        for step in (Put(ACME, b"1"), Put(ACME, b"1", 1), Remove(ACME), Keep(ACME)):
            with pytest.raises(NotThere, match="no tenant acme"):
                await store.apply([step], ALICE, "", 1)
        await put(store, Put(ACME, b"1", NEW))
        with pytest.raises(Exists) as caught:
            await store.apply([Put(ACME, b"1", NEW)], ALICE, "", 1)
        assert caught.value.current.version == 1

    play(place, scene)


def test_the_name_of_a_key_is_not_given_twice_and_that_of_a_project_is(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        for entry in (key("app"), EntryId("principal", "", "bob"), PROJECT):
            await put(store, Put(entry, b"1", NEW))
            await store.apply([Remove(entry)], ALICE, "", 5)
        for entry in (key("app"), EntryId("principal", "", "bob")):
            with pytest.raises(Gone) as caught:
                await store.apply([Put(entry, b"2", NEW)], ALICE, "", 6)
            assert (caught.value.last.document, caught.value.last.gone_ns) == (b"1", 5)
        await put(store, Put(key("app", "other"), b"2", NEW))
        (again,) = await store.apply([Put(PROJECT, b"2", NEW)], BOB, "", 7)
        assert (again.version, again.created_by, again.created_ns, again.gone_ns) == (3, "bob", 7, None)

    play(place, scene)


def test_all_steps_are_done_or_none_and_each_sees_those_before_it(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        with pytest.raises(NotThere):
            await store.apply([Put(ACME, b"1", NEW), Remove(key("never"))], ALICE, "", 1)
        assert (await store.revision(), await store.entry(ACME)) == (0, None)
        steps: list[Step] = [Put(ACME, b"1", NEW), Put(key("app"), b"1", NEW), Put(ACME, b"2", 1), Keep(ACME, 2)]
        done = await store.apply(steps, ALICE, "", 1)
        assert [(entry.name, entry.version) for entry in done] == [("acme", 1), ("app", 1), ("acme", 2), ("acme", 2)]
        assert await store.revision() == 3
        assert await store.apply([], ALICE, "", 1) == []

    play(place, scene)


def test_a_document_that_stands_there_already_changes_nothing(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        await put(store, Put(ACME, b"1", NEW))
        (same,) = await store.apply([Put(ACME, b"1", 1)], BOB, "", 9)
        assert (same.version, same.changed_ns, await store.revision()) == (1, 1, 1)

    play(place, scene)


def test_lists_are_in_order_and_go_on_behind_any_entry(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        keys = ["B", "Z", "a", "a.b", "a_b", "ab", "z"]
        await fill(store, sorted(keys, reverse=True))
        await put(store, Put(ACME, b"1", NEW), Put(key("other", "beta"), b"1", NEW), Put(PROJECT, b"1", NEW))
        everything = [*keys, "other", "search", "acme"]
        assert names(await store.entries()) == everything
        seen: list[str] = []
        after = None
        while page := await store.entries(after=after, limit=3):
            seen += names(page)
            after = page[-1].id
        assert seen == everything
        assert names(await store.entries("key", "acme")) == keys
        assert names(await store.entries("key", "acme", prefix="a")) == ["a", "a.b", "a_b", "ab"]
        assert names(await store.entries("key", after=key("a"), limit=2, prefix="a")) == ["a.b", "a_b"]
        assert names(await store.entries("key", "acme", prefix="a%")) == []
        assert names(await store.entries(tenant="beta")) == ["other"]

    play(place, scene)


def test_who_follows_learns_each_changed_entry_once(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        await fill(store, ["a", "b", "c"])
        revision, changed = await store.changed_since(0)
        assert (revision, [each.name for each in changed]) == (3, ["a", "b", "c"])
        await put(store, Put(key("b"), b"2"))
        await put(store, Put(key("b"), b"3"))
        await store.apply([Remove(key("a"))], ALICE, "", 1)
        revision, changed = await store.changed_since(revision)
        assert revision == 6
        assert [(each.name, each.entry and each.entry.document) for each in changed] == [("b", b"3"), ("a", None)]
        assert await store.changed_since(6) == (6, [])

    play(place, scene)


def test_changes_are_found_by_what_they_are_about_who_made_them_and_when(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        await put(store, Put(ACME, b"1", NEW), now_ns=10)
        await put(store, Put(key("app"), b"1", NEW), now_ns=20, who=BOB)
        await put(store, Put(key("app", "beta"), b"1", NEW), now_ns=30)
        await put(store, Put(key("app"), b"2"), now_ns=40)

        async def found(**wanted: Any) -> list[int]:
            return [each.seq for each in await store.changes(filters=Filters(**wanted))]

        assert await found(kind="key") == [2, 3, 4]
        assert await found(kind="key", tenant="acme", name="app") == [2, 4]
        assert await found(principal="bob") == [2]
        assert await found(since_ns=20, until_ns=40) == [2, 3]
        assert await found(tenant="") == [1]
        assert [each.seq for each in await store.changes(1, 2)] == [2, 3]
        assert [each.seq for each in await store.newest_changes(None, 2)] == [4, 3]
        assert [each.seq for each in await store.newest_changes(3, 9, Filters(tenant="acme"))] == [2]

    play(place, scene)


def test_a_request_with_an_idempotency_key_is_done_once_a_day(place: Site) -> None:
    def once(request: str, principal: str = "alice") -> Once:
        return Once(principal, "k" * 64, request, lambda entries: b"%d entries" % len(entries))

    async def scene(store: ControlStore) -> None:
        assert await store.recall("alice", "k" * 64, 1) is None
        await store.apply([Put(ACME, b"1", NEW)], ALICE, "", 1, once=once("r"))
        for again in ("r", "another"):
            with pytest.raises(Repeated) as caught:
                await store.apply([Put(ACME, b"2", 1)], ALICE, "", 2, once=once(again))
            assert caught.value.remembered == Remembered("r", b"1 entries")
        assert await store.recall("alice", "k" * 64, 2) == Remembered("r", b"1 entries")
        assert await store.recall("bob", "k" * 64, 2) is None
        with pytest.raises(NotThere):  # what was refused is not remembered
            await store.apply([Keep(key("never"))], BOB, "", 2, once=once("r", "bob"))
        assert await store.recall("bob", "k" * 64, 2) is None
        later = 1 + REMEMBERED_NS
        assert await store.recall("alice", "k" * 64, later) is None
        await store.apply([Put(ACME, b"2", 1)], ALICE, "", later, once=once("r"))
        assert await store.revision() == 2

    play(place, scene)


def test_of_many_at_once_with_the_same_idempotency_key_one_is_done(place: Site) -> None:
    async def run() -> None:
        async with place.stores(2) as stores:

            async def create(n: int) -> bool:
                once = Once("alice", "k" * 64, "r", lambda entries: b"")
                try:
                    await stores[n % 2].apply([Put(key(f"k{n}"), b"1", NEW)], ALICE, "", 1, once=once)
                except Repeated:
                    return False
                return True

            assert sum(await asyncio.gather(*(create(n) for n in range(20)))) == 1
            assert await stores[0].revision() == 1

    asyncio.run(run())


def test_edits_of_many_at_once_lose_nothing(place: Site) -> None:
    """Each edit reads, and says which version it read: one that came too late is told so, and tries again."""

    async def run() -> None:
        async with place.stores(3) as stores:
            await put(stores[0], Put(ACME, b"0", NEW))

            async def count(store: ControlStore) -> None:
                for _ in range(10):
                    done = False
                    while not done:
                        entry = await store.entry(ACME)
                        assert entry is not None
                        with contextlib.suppress(Conflict):
                            await put(store, Put(ACME, b"%d" % (int(entry.document) + 1), entry.version))
                            done = True

            await asyncio.gather(*(count(store) for store in stores for _ in range(2)))
            entry = await stores[0].entry(ACME)
            assert entry is not None
            assert (entry.document, entry.version) == (b"60", 61)
            assert isinstance(await stores[1].verify(), Verified)

    asyncio.run(run())


def test_who_leaves_before_its_turn_changes_nothing_or_all_and_holds_nobody_up(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        tasks = [asyncio.create_task(put(store, Put(key(f"k{n}"), b"1", NEW))) for n in range(50)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.wait(tasks)
        assert {f"k{n}" for n in range(1, 50, 2)} <= set(names(await store.entries()))
        assert isinstance(await store.verify(), Verified)

    play(place, scene)


def test_a_change_wakes_whoever_watches_in_any_process(place: Site) -> None:
    async def run() -> None:
        async with place.stores(2) as (store, other):
            watch = other.watch()
            await anext(watch)  # at once
            for n in range(2):
                woken = asyncio.ensure_future(anext(watch))
                await put(store, Put(key(f"k{n}"), b"1", NEW))
                await within(woken, 60)
                assert await other.revision() == n + 1

    asyncio.run(run())


def test_what_was_changed_outlives_who_changed_it(place: Site) -> None:
    play(place, lambda store: fill(store, ["a", "b"]))

    async def scene(store: ControlStore) -> None:
        assert names(await store.entries()) == ["a", "b"]
        assert isinstance(await store.verify(), Verified)

    play(place, scene)


def test_texts_of_any_kind_are_kept(place: Site) -> None:
    who = Who("alice", "Ä\0\ud800" + "ü" * 500, "api", "req\n")

    async def scene(store: ControlStore) -> None:
        await store.apply([Put(ACME, b"\x00\xff", NEW)], who, "why'); DROP TABLE x; --\u202e", 1)
        (change,) = await store.changes()
        assert (change.subject[:3], change.request_id, change.reason) == (
            "Ä\ufffd?",
            "req\n",
            "why'); DROP TABLE x; --\u202e",
        )
        assert change.after == b"\x00\xff"
        assert isinstance(await store.verify(), Verified)

    play(place, scene)


def test_many_open_a_new_store_at_once(place: Site) -> None:
    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            opened = await asyncio.gather(*(stack.enter_async_context(place.store()) for _ in range(5)))
            await fill(opened[0], ["a"])
            assert [await each.revision() for each in opened] == [1] * 5

    asyncio.run(run())


def test_a_store_of_an_older_version_is_brought_up_to_date_and_keeps_what_it_has(place: Site) -> None:
    play(place, lambda store: fill(store, ["a"]))
    place.sql(
        "DROP TABLE lockgate_control_answers", "UPDATE lockgate_control_meta SET value = '1' WHERE name = 'schema'"
    )

    async def scene(store: ControlStore) -> None:
        once = Once("alice", "k", "r", lambda _: b"")
        await store.apply([Put(key("b"), b"1", NEW)], ALICE, "", 1, once=once)
        assert names(await store.entries()) == ["a", "b"]

    play(place, scene)


def test_a_store_of_a_newer_version_is_refused(place: Site) -> None:
    play(place, lambda store: fill(store, ["a"]))
    place.sql("UPDATE lockgate_control_meta SET value = '99' WHERE name = 'schema'")
    with pytest.raises(ConfigError, match=r"written by a newer Lockgate \(its schema is 99, this version knows 2\)"):
        play(place, lambda store: fill(store, ["b"]))
