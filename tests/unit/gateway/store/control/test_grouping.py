from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.config.entries import EntryId
from gateway.policy.changes import START
from gateway.store.control.base import NEW, ControlStoreDown, NotThere, Put, Remove, Who
from gateway.store.control.deciding import Request, Working
from gateway.store.control.grouping import MOST, Groups, Outcome, decided

WHO = Who("alice", "", "api")


def making(name: str) -> Request:
    return Request([Put(EntryId("tenant", "", name), b"1", NEW)], WHO, "", 1)


class Disk:
    """Commits one group at a time, each when it is let."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.lets = asyncio.Semaphore(0)
        self.error: Exception | None = None

    async def commit(self, requests: Sequence[Request]) -> list[Outcome]:
        self.groups.append(len(requests))
        await self.lets.acquire()
        if self.error is not None:
            raise self.error
        return decided(Working(START, []), requests)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_comes_while_a_group_is_written_goes_together_into_the_next() -> None:
    async def run() -> None:
        disk = Disk()
        groups = Groups(disk.commit)
        first = asyncio.ensure_future(groups.do(making("first")))
        await settle()
        others = [asyncio.ensure_future(groups.do(making(f"t{n}"))) for n in range(MOST + 1)]
        await settle()
        assert disk.groups == [1]
        for _ in range(3):
            disk.lets.release()
        assert (await first)[0].name == "first"
        assert [(await each)[0].name for each in others] == [f"t{n}" for n in range(MOST + 1)]
        assert disk.groups == [1, MOST, 1]
        await groups.finished()

    asyncio.run(run())


def test_a_refused_one_costs_the_others_nothing_and_a_failed_write_is_told_to_all() -> None:
    async def run() -> None:
        disk = Disk()
        groups = Groups(disk.commit)
        for _ in range(2):
            disk.lets.release()
        never = Request([Remove(EntryId("tenant", "", "never"))], WHO, "", 1)
        asked = [groups.do(request) for request in (making("a"), never, making("b"))]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in found] == [list, NotThere, list]
        await groups.finished()
        disk.error = ControlStoreDown("full")
        found = await asyncio.gather(*(groups.do(making(name)) for name in "ab"), return_exceptions=True)
        assert found == [disk.error, disk.error]
        disk.error = None
        disk.lets.release()
        await groups.do(making("c"))

    asyncio.run(run())


def test_who_left_before_its_turn_is_not_done() -> None:
    async def run() -> None:
        disk = Disk()
        groups = Groups(disk.commit)
        first = asyncio.ensure_future(groups.do(making("first")))
        await settle()
        left = asyncio.ensure_future(groups.do(making("left")))
        await settle()
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        disk.lets.release()
        await first
        await groups.finished()
        assert disk.groups == [1]

    asyncio.run(run())
