"""One contract for every control store: nothing is removed that something else needs."""

from __future__ import annotations

import asyncio

import pytest

from gateway.config.entries import EntryId
from gateway.store.control.base import NEW, ControlStore, Keep, NotEmpty, NotThere, Put, Refused, Remove, Step
from tests.support.control_stores import ACME, ALICE, BOB, Site, key, play, put

PROJECT = EntryId("project", "acme", "search")


def test_a_tenant_with_keys_is_not_removed_except_together_with_them(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        await put(store, Put(ACME, b"1", NEW), Put(key("app"), b"1", NEW), Put(PROJECT, b"1", NEW))
        for step in ([Remove(ACME)], [Remove(key("app")), Remove(ACME)]):
            with pytest.raises(NotEmpty):
                await store.apply(step, ALICE, "", 1)
        await store.apply([Remove(key("app")), Remove(PROJECT), Remove(ACME)], ALICE, "", 1)
        assert await store.entries() == []
        with pytest.raises(NotThere):
            await store.apply([Keep(ACME), Put(key("late"), b"1", NEW)], ALICE, "", 1)

    play(place, scene)


def test_a_project_that_a_key_names_is_not_removed_except_with_its_tenant(place: Site) -> None:
    named = b'{"projects":["search"]}'

    async def scene(store: ControlStore) -> None:
        await put(store, Put(ACME, b"1", NEW), Put(PROJECT, b"1", NEW), Put(key("app"), named, NEW))
        await put(store, Put(key("app", "other"), named, NEW), Put(key("bare"), b"1", NEW))
        with pytest.raises(NotEmpty, match="project acme/search is named by the key acme/app"):
            await store.apply([Remove(PROJECT)], ALICE, "", 1)
        with pytest.raises(NotEmpty):
            await store.apply([Put(key("bare"), named), Remove(key("app")), Remove(PROJECT)], ALICE, "", 1)
        await store.apply([Put(key("app"), b"1"), Remove(PROJECT), Put(PROJECT, b"2", NEW)], ALICE, "", 1)
        await store.apply([Put(key("app"), named)], ALICE, "", 1)
        everything: list[Step] = [Remove(PROJECT), Remove(key("app")), Remove(key("bare")), Remove(ACME)]
        await store.apply(everything, ALICE, "", 1)
        assert [entry.id for entry in await store.entries()] == [key("app", "other")]

    play(place, scene)


def test_of_a_key_and_the_end_of_its_project_at_once_one_is_refused(place: Site) -> None:
    async def scene(store: ControlStore) -> None:
        async with place.store() as other:
            for n in range(20):
                name = f"k{n}"
                await put(store, Put(PROJECT, b"1", NEW))
                one: list[Step] = [Keep(PROJECT), Put(key(name), b'{"projects":["search"]}', NEW)]
                answers = await asyncio.gather(
                    store.apply(one, ALICE, "", 1), other.apply([Remove(PROJECT)], BOB, "", 1), return_exceptions=True
                )
                refused = [type(answer) for answer in answers if isinstance(answer, Refused)]
                there = [entry.id for entry in await store.entries()]
                assert (refused, there) in (([NotEmpty], [key(name), PROJECT]), ([NotThere], []))
                await store.apply([Remove(of) for of in there], ALICE, "", 1)

    play(place, scene)
