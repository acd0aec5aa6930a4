"""Records, and the archived snapshots that they name, compiled: for commands that derive something of both."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import click

from gateway.config import archive, snapshot
from gateway.config.snapshot import Snapshot
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.store.record_query import Query
    from gateway.store.records import Record

T = TypeVar("T")
_KEPT: Final = 8


def records(state_dir: Path, query: Query) -> Iterator[Record]:
    """The records asked for; a message and exit code 1 when they cannot be read."""
    from gateway.store import record_read
    from gateway.store.manifest import LedgerUnreadable
    from gateway.store.record_rows import SchemaTooNew

    try:
        yield from record_read.records(state_dir, query)
    except ImportError as error:
        words = f"records are read with DuckDB, which cannot be loaded here ({error}): pip install duckdb"
        raise click.ClickException(words) from error
    except (LedgerUnreadable, SchemaTooNew, OSError) as error:
        raise click.ClickException(f"cannot read the records: {error}") from error


def read(state_dir: Path, digest: str) -> Snapshot:
    """The snapshot. Raises ConfigError where it is not there or cannot be read."""
    return snapshot.compile(archive.read(state_dir, digest), digest)


class Made(Generic[T]):
    """What is made of each snapshot, made once for records that stand together. `missing` says of each digest that
    could not be read, why."""

    def __init__(self, state_dir: Path, make: Callable[[Snapshot], T]) -> None:
        self.missing: dict[str, str] = {}
        self._state_dir = state_dir
        self._make = make
        self._kept: OrderedDict[str, T] = OrderedDict()

    def of(self, digest: str) -> T | None:
        """That of this snapshot; None where it is not there or cannot be read."""
        found = self._kept.get(digest)
        if found is None and digest not in self.missing:
            try:
                found = self._kept[digest] = self._make(read(self._state_dir, digest))
            except ConfigError as error:
                self.missing[digest] = str(error)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        elif found is not None and len(self._kept) > 1:
            self._kept.move_to_end(digest)
        return found
