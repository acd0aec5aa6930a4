"""Stores of meters whose owners are killed and stopped, and whose disk or server is not what it should be."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gateway.clock import within
from gateway.errors import ConfigError
from gateway.store.meters import MeterStore, MeterStoreDown
from gateway.store.meters_sqlite import SqliteMeters
from gateway.store.recall_sockets import RecallSockets, parts
from tests.support.meter_stores import MARKS, PROCESSES, Site, site
from tests.support.meter_writer import add


@pytest.fixture(params=[pytest.param(kind, marks=MARKS.get(kind, ())) for kind in PROCESSES])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with site(request.param, tmp_path) as there:
        yield there


def writer(place: Site, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.meter_writer", place.url, str(number), str(place.folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def lines(process: subprocess.Popen[str], count: int) -> list[int]:
    assert process.stdout is not None
    return [int(process.stdout.readline()) for _ in range(count)]


def test_what_a_killed_owner_was_told_is_kept_is_kept_and_others_go_on(place: Site) -> None:
    writers = [writer(place, n) for n in range(3)]
    told: list[list[int]] = [[], [], []]
    try:
        told = [lines(each, 20) for each in writers]
        for _ in range(3):
            writers[0].kill()
            rest, _ = writers[0].communicate()
            told[0] += [int(line) for line in rest.splitlines()]
            told[1] += lines(writers[1], 10)  # nobody waits for the dead one's turn
            writers[0] = writer(place, 0)
            told[0] += lines(writers[0], 5)
    finally:
        for each in writers:
            each.kill()
            rest, _ = each.communicate()
            told[writers.index(each)] += [int(line) for line in rest.splitlines() if line.strip()]

    async def count() -> int:
        async with place.stores(1) as (store,):
            return int((await store.read(["count"]))["count"])

    seen = [n for each in told for n in each]
    assert len(seen) == len(set(seen))
    # Whoever was killed may have changed what nobody was told of: at most one change each time.
    assert len(seen) <= asyncio.run(count()) <= len(seen) + 6


def test_an_owner_that_never_ends_its_turn_makes_the_store_unavailable_and_the_gateway_does_not_hang(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        with site("sqlite", tmp_path):
            store = SqliteMeters(tmp_path / "meters.sqlite", tmp_path / "run", "state:0-1", timeout_s=0.2)
            await store.check()
            stopped = os.open(tmp_path / "meters.sqlite.lock", os.O_RDWR)
            fcntl.flock(stopped, fcntl.LOCK_EX)
            with pytest.raises(MeterStoreDown, match=r"within 0\.2 s"):
                await store.update(["a"], add)
            os.close(stopped)
            assert (await store.update(["a"], add))["a"] == 2  # the first one happened after all
            await store.close()

    asyncio.run(run())


def test_a_file_that_is_no_database_is_told_at_start(tmp_path: Path) -> None:
    (tmp_path / "meters.sqlite").write_bytes(b"not a database" * 100)

    async def run() -> None:
        with site("sqlite", tmp_path) as place:
            store = place.make(0)
            with pytest.raises(ConfigError, match=r"stores\.meters: .*meters\.sqlite: file is not a database"):
                await store.check()
            await store.close()

    asyncio.run(run())


def test_a_folder_that_cannot_be_written_is_told_at_start(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteMeters(tmp_path / "gone" / "meters.sqlite", tmp_path, "state:0-1")
        with pytest.raises(ConfigError, match="No such file or directory"):
            await store.check()
        await store.close()

    asyncio.run(run())


def test_the_database_is_written_through_to_the_disk(tmp_path: Path) -> None:
    async def run() -> None:
        with site("sqlite", tmp_path) as place:
            async with place.stores(1) as (store,):
                assert isinstance(store, SqliteMeters)
                database = store._open()
                assert database.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
                assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    asyncio.run(run())
    assert oct((tmp_path / "meters.sqlite").stat().st_mode & 0o777) == "0o600"


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        with site("sqlite", tmp_path) as place:
            async with place.stores(1) as (store,):
                assert isinstance(store, SqliteMeters)
                await store.update(["a"], add)
                database = store._open()
                (pages,) = database.execute("PRAGMA page_count").fetchone()
                database.execute(f"PRAGMA max_page_count = {pages}")
                with pytest.raises(MeterStoreDown, match="full"):
                    await store.update([f"k{n}" for n in range(100)], lambda key, old: (b"x" * 900, None))
                assert await store.scan() == {"a": b"1"}
                database.execute("PRAGMA max_page_count = 100000")
                assert await store.update(["a"], add) == {"a": 2}

    asyncio.run(run())


class Heard(list[str]):
    """The keys that were recalled; `all` is set when there are so many."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.wanted = count
        self.all = asyncio.Event()

    def take(self, keys: Sequence[str]) -> None:
        self.extend(keys)
        if len(self) >= self.wanted:
            self.all.set()


def test_a_recall_forgets_owners_that_are_gone_and_takes_any_folder(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 40) / "run"
    folder.mkdir(parents=True)

    async def run() -> None:
        heard = Heard(2)
        here, there, gone = (RecallSockets(folder, f"state:{n}-1") for n in range(3))
        here.listen(heard.take)
        gone.listen(heard.take)
        assert gone._socket is not None
        asyncio.get_running_loop().remove_reader(gone._socket)
        gone._socket.close()
        (folder / "meters-stranger.sock").write_bytes(b"")
        there.send(["a"])
        there.send(["b"])
        await within(heard.all.wait(), 60)
        assert heard == ["a", "b"]
        assert not (folder / "meters-2-1.sock").exists()
        here.close()
        there.close()

    asyncio.run(run())


def test_a_datagram_that_is_no_recall_is_passed_over(tmp_path: Path) -> None:
    async def run() -> None:
        heard = Heard(1)
        here, there = (RecallSockets(tmp_path, f"state:{n}-1") for n in range(2))
        here.listen(heard.take)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as noise:
            noise.sendto(b"\xc1noise", str(tmp_path / "meters-0-1.sock"))
        there.send(["a"])
        await within(heard.all.wait(), 60)
        assert heard == ["a"]
        here.close()
        there.close()

    asyncio.run(run())


def test_keys_are_parted_by_their_bytes() -> None:
    assert parts([]) == []
    assert parts(["aa", "bb", "ü"], 14) == [["aa", "bb"], ["ü"]]
    assert parts(["x" * 99, "y"], 10) == [["x" * 99], ["y"]]


def test_the_database_can_be_read_by_anyone_who_may(tmp_path: Path) -> None:
    """Its form is stated, so that other tools can look at it."""

    async def run() -> None:
        with site("sqlite", tmp_path) as place:
            async with place.stores(1) as (store,):
                await _put(store)

    asyncio.run(run())
    with sqlite3.connect(tmp_path / "meters.sqlite") as database:
        assert database.execute("SELECT key, state FROM meters").fetchall() == [("a", b"1")]
    database.close()


async def _put(store: MeterStore) -> None:
    await store.update(["a"], add)
