"""Gathers the evidence of a run from the files and servers it left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from gateway.policy import authority
from gateway.store.journal_read import Tail, directories, segment_numbers, writer_lives
from gateway.store.layout import CLOSED, HELD, OPENED, RECOVERY, WHOLE, segment_path
from gateway.store.records import Opened, Record
from gateway.store.segment import SegmentReader
from tests.chaos import history, tables
from tests.chaos.agents import Batch
from tests.chaos.deployment import METERS_FILE, Deployment
from tests.chaos.evidence import Event, Evidence, Holding
from tests.chaos.history import Version
from tests.chaos.load import Call
from tests.chaos.plan import JUMP_S
from tests.support.store_servers import PostgresServer, RedisServer


def records(state_dir: Path) -> tuple[list[Record], int]:
    """Every record of every journal, and how many places could not be read."""
    found: list[Record] = []
    damaged = 0
    for directory in directories(state_dir):
        tail = Tail(directory)
        found += tail.drain()
        damaged += tail.damaged + tail.unreadable + tail.unopened
        tail.close()
    return found, damaged


def events(state_dir: Path, found: list[Record]) -> list[Event]:
    """What every worker decided, in the order of its journal; those of several workers by time."""
    by_id = {record.id: record for record in found}
    events: list[Event] = []
    for directory in directories(state_dir):
        last_s = 0.0
        for kind, payload in _entries(directory):
            event = _event(directory.name, kind, payload, by_id, last_s)
            if event is not None:
                last_s = event.at_s
                events.append(event)
    events.sort(key=lambda event: event.at_s)
    return events


def _event(worker: str, kind: int, payload: bytes, by_id: dict[str, Record], last_s: float) -> Event | None:
    if kind in (OPENED, HELD):
        opened = msgspec.msgpack.decode(payload, type=Opened)
        record = by_id.get(opened.id)
        if record is None:
            return None
        sent_ms = record.attempts[0].sent_ms if record.attempts else 0.0
        at_s = opened.started_ns / 1e9 + sent_ms / 1e3 if kind == OPENED else last_s
        held = (opened.held_input, opened.held_output, opened.held_nanos)
        return Event(max(at_s, last_s), worker, "hold", opened.id, record, held)
    record = msgspec.msgpack.decode(payload, type=Record)
    at_s = max(last_s, record.started_ns / 1e9 + record.total_ms / 1e3)
    held = (record.held_input, record.held_output, record.held_nanos)
    if kind == CLOSED:
        return Event(at_s, worker, "settle", record.id, record, held)
    if kind == WHOLE and "refused:" in record.action:
        return Event(at_s, worker, "refuse", record.id, record, held)
    return None


def _entries(directory: Path) -> Iterator[tuple[int, bytes]]:
    for path in [segment_path(directory, number) for number in segment_numbers(directory)] + [directory / RECOVERY]:
        if path.exists():
            reader = SegmentReader(path)
            while entries := reader.read():
                yield from entries
            reader.close()


def versions(raw: Iterable[Version], began_s: float) -> Iterator[Holding]:
    """Stored states as holdings. What a window holds is taken as of the true time: owners count by a clock that does
    not jump. `began_s`: when the run began."""
    for at_s, key, value in raw:
        state = authority.decode(value)
        true_s = unjumped(at_s, began_s)
        yield Holding(key, state.used(int(true_s)), state.leased(), true_s)


def unjumped(at_s: float, began_s: float) -> float:
    """The true time of a reading of a clock that may just then have been hours ahead or behind. A run takes far less
    than an hour."""
    return at_s - JUMP_S * round((at_s - began_s) / JUMP_S)


def watch(here: Deployment) -> None:
    """Has the authority keep all that is stored from now on."""
    match here.store:
        case None:
            history.watch_sqlite(here.state_dir / METERS_FILE)
        case PostgresServer():
            history.watch_postgres(here.store)


def _history(here: Deployment) -> Iterable[Version]:
    match here.store:
        case RedisServer():
            return history.of_redis(here.store)
        case PostgresServer():
            return history.of_postgres(here.store)
        case _:
            return history.of_sqlite(here.state_dir / METERS_FILE)


def dead_leases(here: Deployment) -> list[str]:
    """Owners that hold something and are no worker that lives."""
    last = {version.key: version.state for version in _now(here)}
    owners = {owner for raw in last.values() for owner, lease in authority.decode(raw).leases.items() if lease.unspent}
    return [owner for owner in owners if not writer_lives(here.state_dir / "journal" / owner.partition(":")[2])]


def _now(here: Deployment) -> Iterable[Version]:
    match here.store:
        case RedisServer():
            return history.of_redis(here.store)  # the last one of a bucket counts
        case PostgresServer():
            return history.now_postgres(here.store)
        case _:
            return history.now_sqlite(here.state_dir / METERS_FILE)


def gather(here: Deployment, calls: list[Call], batches: list[Batch]) -> Evidence:
    """All evidence, when the gateway has ended; `batches`: what agents sent."""
    found, damaged = records(here.state_dir)
    written = tables.read(here.state_dir, batches)
    for record in (*found, *written.records):
        record.started_ns = round(unjumped(record.started_ns / 1e9, here.began_s) * 1e9)
    history = list(versions(_history(here), here.began_s))
    final = {version.key: version for version in history}
    return Evidence(
        caps=here.run.caps,
        records=found,
        calls=calls,
        produced=here.produced(),
        history=history,
        final=final,
        events=events(here.state_dir, found),
        damaged=damaged,
        wall_ahead_s=here.wall_ahead_s,
        tables=written,
        done=here.done,
    )
