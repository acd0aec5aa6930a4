"""Every record that was closed, in the order of its journal, for who follows all journals and keeps a place in each.

Records that nobody waited for are not kept for anyone: where segments were dropped before they were read here, that is
counted (`gaps`), and reading goes on behind them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from gateway.store.journal_follow import BEGIN, Follower, Position
from gateway.store.journal_read import directories
from gateway.store.layout import HELD, OPENED
from gateway.store.records import Record

_decode: Final = msgspec.msgpack.Decoder(Record).decode


class RecordFeed:
    """The journals of a state directory, each read from its place on, or from its beginning."""

    def __init__(self, state_dir: Path, places: Mapping[str, Position]) -> None:
        self._state_dir = state_dir
        self._start = dict(places)
        self._followers: dict[str, Follower] = {}
        self._damaged: dict[str, int] = {}
        self.gaps = 0
        """Places where records may be missing."""
        self._look()

    def read(self) -> list[Record]:
        """The next records, a piece of a journal at most; none when there is nothing new."""
        self._look()
        for name, follower in self._followers.items():
            piece = follower.piece()
            self.gaps += follower.damaged - self._damaged.get(name, 0)
            self._damaged[name] = follower.damaged
            if piece is not None:
                self._followers[name] = self._followers.pop(name)  # the others come first next time
                return _records(piece.entries)
        return []

    @property
    def places(self) -> dict[str, Position]:
        """Behind what was read, by the journal's name."""
        return {name: follower.position for name, follower in self._followers.items()}

    def close(self) -> None:
        """Closes the files at hand."""
        for follower in self._followers.values():
            follower.close()

    def _look(self) -> None:
        """Finds journals that are new, and forgets those that are gone."""
        there = {directory.name: directory for directory in directories(self._state_dir)}
        for name in self._followers.keys() - there.keys():
            self._followers.pop(name).close()
            self._damaged.pop(name, None)
        for name in there.keys() - self._followers.keys():
            self._followers[name] = Follower(there[name], self._start.pop(name, BEGIN))


def _records(entries: list[tuple[int, bytes]]) -> list[Record]:
    found = []
    for kind, payload in entries:
        if kind in (OPENED, HELD):
            continue
        try:
            found.append(_decode(payload))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # counted where the ledger is made
    return found
