"""Control stores whose users are killed, and whose file or server is not what it should be."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.store.control.base import NEW, ControlStore, ControlStoreDown, Put, Verified
from gateway.store.control.heads import FILE, Heads
from gateway.store.control.opening import DATABASE, open_store
from gateway.store.control.sqlite import SqliteControl
from tests.support.control_stores import ACME, Site, fill, key, own_postgres, put
from tests.support.store_servers import PostgresServer


def writer(place: Site, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.control_writer", place.url, str(place.folder), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str], least: int) -> list[int]:
    """What it says until it is killed, once it has said so much."""
    assert process.stdout is not None
    begin = [int(process.stdout.readline()) for _ in range(least)]
    process.kill()
    rest, _ = process.communicate()
    return begin + [int(line) for line in rest.splitlines()]


def test_what_killed_writers_were_told_is_kept_is_kept_whole_and_the_log_too(place: Site) -> None:
    async def names() -> set[str]:
        async with place.store() as store:
            assert isinstance(await store.verify(), Verified)
            return {entry.name for entry in await store.entries("key")}

    for turn in range(3):
        writers = {f"w{turn}{n}": writer(place, f"w{turn}{n}") for n in range(3)}
        kept = {name: told(process, 15) for name, process in writers.items()}
        found = asyncio.run(names())
        for name, numbers in kept.items():
            assert numbers == list(range(len(numbers)))
            assert {f"{name}-{n}" for n in numbers} <= found
            assert f"{name}-{len(numbers) + 1}" not in found  # nobody was told of at most one, which may be kept
        assert {f"{name}-twin" for name in found if not name.endswith("-twin")} == {
            name for name in found if name.endswith("-twin")
        }


@pytest.mark.postgresql
def test_a_server_that_hangs_or_is_gone_is_told_and_used_again_when_it_is_back(tmp_path: Path) -> None:
    from gateway.store.control.postgres import PostgresControl

    async def run(place: Site, server: PostgresServer) -> None:
        store = PostgresControl(place.url, Heads(tmp_path / FILE), timeout_s=5.0)
        await store.open()
        await fill(store, ["a"])
        impatient = PostgresControl(place.url, Heads(tmp_path / FILE), timeout_s=0.3)
        server.freeze()
        with pytest.raises(ControlStoreDown, match=r"no answer within 0\.3 s"):
            await impatient.revision()
        async with asyncio.timeout(30):  # one after the other they would take 60 s
            waiting = await asyncio.gather(*(impatient.revision() for _ in range(200)), return_exceptions=True)
        assert {type(each) for each in waiting} == {ControlStoreDown}
        server.thaw()
        watch = store.watch()
        await anext(watch)
        server.kill()
        with pytest.raises(ControlStoreDown, match=r"the PostgreSQL of stores\.control: "):
            await fill(store, ["b"])
        with pytest.raises(ControlStoreDown):
            await anext(watch)
        server.start()
        await fill(store, ["c"])
        assert [entry.name for entry in await store.entries()] == ["a", "c"]
        await impatient.close()
        await store.close()

    with own_postgres(tmp_path) as (place, server):
        asyncio.run(run(place, server))


@pytest.mark.postgresql
def test_a_server_that_may_forget_or_lets_us_make_no_tables_is_refused_at_the_start(tmp_path: Path) -> None:
    async def start(url: str) -> None:
        store = open_store(url, tmp_path)
        try:
            await store.open()
        finally:
            await store.close()

    with own_postgres(tmp_path) as (place, server):
        server.query("CREATE ROLE guest LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        with pytest.raises(ControlStoreDown, match=r"stores\.control: permission denied for schema public$"):
            asyncio.run(start(place.url.replace("lockgate@", "guest@")))
        server.query("ALTER SYSTEM SET fsync = off")
        server.query("SELECT pg_reload_conf()")
        for _ in range(200):
            if server.query("SHOW fsync").strip() == "off":
                break
            time.sleep(0.02)  # between two looks
        with pytest.raises(ConfigError, match="may forget what was changed: set `fsync = on`"):
            asyncio.run(start(place.url))


async def opened(folder: Path, turn_s: float = 0.2) -> SqliteControl:
    store = SqliteControl(folder / DATABASE, Heads(folder / FILE), turn_s)
    await store.open()
    return store


async def refused(store: ControlStore, match: str) -> None:
    with pytest.raises(ControlStoreDown, match=match):
        await put(store, Put(key("late"), b"1", NEW))


def test_a_process_that_hangs_in_its_turn_is_told_and_reading_goes_on(tmp_path: Path) -> None:
    async def run() -> None:
        store = await opened(tmp_path)
        await fill(store, ["a"])
        held = os.open(tmp_path / f"{DATABASE}.lock", os.O_RDWR)
        fcntl.flock(held, fcntl.LOCK_EX)
        await refused(store, "is held by another process of Lockgate that hangs: nothing was changed")
        assert (await store.revision(), len(await store.entries())) == (1, 1)
        os.close(held)
        await fill(store, ["b"])
        await store.close()

    asyncio.run(run())


def test_a_shell_with_an_open_transaction_is_told_and_reading_and_verifying_go_on(tmp_path: Path) -> None:
    async def run() -> None:
        store = await opened(tmp_path)
        await fill(store, ["a"])
        with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as shell:
            shell.execute("BEGIN IMMEDIATE")
            await refused(store, "held by another program .*: nothing was changed; end that")
            assert isinstance(await store.verify(), Verified)
            shell.execute("ROLLBACK")
        await fill(store, ["b"])
        await store.close()

    asyncio.run(run())


def test_a_full_disk_changes_nothing_of_all_that_waited(tmp_path: Path) -> None:
    async def run() -> None:
        store = await opened(tmp_path)
        await put(store, Put(ACME, b"1", NEW))
        database = store._writes._file.connection()
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        asked = [put(store, Put(key(f"k{n}"), b"x" * 9000, NEW)) for n in range(5)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        told = "control.sqlite cannot be written, the disk is full: nothing was changed; make room on it"
        assert [type(answer) for answer in answers] == [ControlStoreDown] * 5
        assert all(told in str(answer) for answer in answers)
        assert (await store.revision(), len(await store.entries())) == (1, 1)
        database.execute("PRAGMA max_page_count = 100000")
        await fill(store, ["a"])
        assert isinstance(await store.verify(), Verified)
        await store.close()

    asyncio.run(run())


def test_a_file_that_is_gone_is_told_and_one_that_was_put_back_is_used(tmp_path: Path) -> None:
    async def run() -> None:
        store = await opened(tmp_path)
        await fill(store, ["a"])
        shutil.copy(tmp_path / DATABASE, tmp_path / "backup")
        shutil.copy(tmp_path / f"{DATABASE}-wal", tmp_path / "backup-wal")
        watch = store.watch()
        await anext(watch)
        for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
            (tmp_path / name).unlink()
        await refused(store, r"control\.sqlite is gone: put it back")
        with pytest.raises(ControlStoreDown, match="is gone"):
            await store.entries()
        with pytest.raises(ControlStoreDown, match="is gone"):
            await anext(watch)
        assert not (tmp_path / DATABASE).exists()
        (tmp_path / "backup-wal").rename(tmp_path / f"{DATABASE}-wal")
        (tmp_path / "backup").rename(tmp_path / DATABASE)
        assert await store.revision() == 1
        await fill(store, ["b"])
        assert [entry.name for entry in await store.entries()] == ["a", "b"]
        await store.close()

    asyncio.run(run())


def test_what_is_no_database_and_a_folder_that_is_not_there_are_told_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        (tmp_path / DATABASE).write_bytes(b"not a database" * 100)
        with pytest.raises(ControlStoreDown, match=r"control\.sqlite is damaged: stop the gateway, and restore it"):
            await opened(tmp_path)
        with pytest.raises(ControlStoreDown, match="cannot be made: its folder is not there"):
            await opened(tmp_path / "never")

    asyncio.run(run())


def test_the_file_is_private_and_written_through_to_the_disk(tmp_path: Path) -> None:
    async def run() -> None:
        store = await opened(tmp_path)
        database = store._writes._file.connection()
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        await fill(store, ["a"])
        await store.close()

    asyncio.run(run())
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys((DATABASE, f"{DATABASE}.lock", FILE), "0o600")


def test_heads_are_noted_as_changes_go_and_a_file_of_heads_that_cannot_be_written_stops_none(tmp_path: Path) -> None:
    async def run() -> None:
        store = await opened(tmp_path)
        await fill(store, [f"k{n}" for n in range(150)])
        assert [head.seq for head in Heads(tmp_path / FILE).read()] == [150]
        await fill(store, ["one"])
        await store.close()
        assert [head.seq for head in Heads(tmp_path / FILE).read()] == [150, 151]
        (tmp_path / FILE).unlink()
        (tmp_path / FILE).mkdir()
        store = await opened(tmp_path)
        await fill(store, [f"l{n}" for n in range(150)])
        with pytest.raises(ControlStoreDown, match=r"changes\.heads cannot be read: Is a directory"):
            await store.verify()
        await store.close()

    asyncio.run(run())
