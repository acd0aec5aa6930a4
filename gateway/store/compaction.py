"""Which files of a table are better one. Pure.

Files of today are merged by size: a row is written again once for each factor of eight. Of a day that is over all are
merged that are not far larger than the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol, TypeVar

DAY_NS: Final = 86_400 * 10**9

MERGE_FROM: Final = 8
"""So many files of a day of about one size become one."""
SMALLEST: Final = 4_096
LARGEST: Final = 4_000_000
"""Rows from which on a file is left as it is."""


class TableFile(Protocol):
    """A file of rows of one day."""

    @property
    def rows(self) -> int: ...
    @property
    def day(self) -> str: ...
    @property
    def partition(self) -> str: ...


F = TypeVar("F", bound=TableFile)


def mergeable(files: Sequence[F], today: str, largest: int = LARGEST) -> list[list[F]]:
    """Groups of files, each of one partition, that are better one."""
    groups: list[list[F]] = []
    tiers: dict[tuple[str, int], list[F]] = {}
    for file in files:
        if file.rows < largest:
            tiers.setdefault((file.partition, _tier(file.rows) if file.day == today else 0), []).append(file)
    for alike in tiers.values():
        if alike[0].day == today:
            groups += [alike[:MERGE_FROM]] if len(alike) >= MERGE_FROM else []
            continue
        group: list[F] = []
        rows = 0
        for file in sorted(alike, key=lambda file: file.rows):
            if group and file.rows > MERGE_FROM * rows:
                break
            group.append(file)
            rows += file.rows
        groups += [group] if len(group) > 1 else []
    return groups


def _tier(rows: int) -> int:
    tier, size = 0, SMALLEST
    while rows >= size:
        tier, size = tier + 1, size * MERGE_FROM
    return tier


def day_name(number: int) -> str:
    """The day of this number since the epoch, as folders are named: `2026-11-22`; that of 1970 for days that no clock
    shows."""
    seconds = number * 86_400
    if not 0 <= seconds < 253_402_300_800:  # the year 10000
        seconds = 0
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
