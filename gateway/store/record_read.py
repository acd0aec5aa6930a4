"""Hands out records of a state directory, as they were written: one `Query`, one iterator.

Works beside a running gateway, takes no lock and changes nothing. A record is there as soon as its request ended; those
of requests that run are not.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from gateway.store.journal_follow import Follower
from gateway.store.journal_read import directories
from gateway.store.layout import CLOSED, RECOVERED, WHOLE
from gateway.store.record_query import ANY, NEWEST, Query
from gateway.store.records import Record

ENDS: Final = frozenset((CLOSED, WHOLE, RECOVERED))
"""The kinds of entries that are a record."""


def records(state_dir: Path, query: Query) -> Iterator[Record]:
    """The records asked for, each once. In an order, with a limit, no more than these are in memory. Raises OSError."""
    found = _of_journals(state_dir, query)
    if query.order == ANY:
        for number, record in enumerate(found):
            if number == query.limit:
                return
            yield record
    elif query.limit is None:
        yield from sorted(found, key=_moment, reverse=query.order == NEWEST)
    else:
        first = heapq.nlargest if query.order == NEWEST else heapq.nsmallest
        yield from first(query.limit, found, key=_moment)


def record(state_dir: Path, record_id: str) -> Record | None:
    """The record of this id. Raises as `records` does."""
    return next(records(state_dir, Query(ids=(record_id,), order=ANY, limit=1)), None)


def _moment(record: Record) -> tuple[int, str]:
    return record.started_ns, record.id


def _of_journals(state_dir: Path, query: Query) -> Iterator[Record]:
    decode = msgspec.msgpack.Decoder(Record).decode
    for directory in directories(state_dir):
        follower = Follower(directory)
        try:
            for piece in follower.pieces():
                for kind, payload in piece.entries:
                    if kind in ENDS:
                        try:
                            record = decode(payload)
                        except (msgspec.DecodeError, UnicodeDecodeError):
                            continue  # counted where the journal is verified
                        if query.holds(record):
                            yield record
        finally:
            follower.close()
