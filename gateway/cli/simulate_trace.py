"""A CSV file of requests, row by row: for `lockgate simulate`. Columns go by many names, in any order."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from gateway.errors import ConfigError
from gateway.policy.trace import Request

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("time", "t_s", "t", "timestamp", "arrival_time", "arrived_at", "start_time", "started_at"),
    "input_tokens": (
        *("input_tokens", "context_tokens", "prompt_tokens", "num_prefill_tokens", "request_tokens", "input_length"),
        "input",
    ),
    "output_tokens": (
        *("output_tokens", "generated_tokens", "completion_tokens", "num_decode_tokens", "response_tokens"),
        *("output_length", "output"),
    ),
    "tenant": ("tenant", "team", "customer"),
    "model": ("model", "model_name", "alias"),
    "key": ("key", "key_name"),
    "project": ("project",),
    "end_user": ("end_user", "user", "user_id"),
    "conversation": ("conversation", "conversation_id", "session_id", "session"),
    "max_tokens": ("max_tokens", "max_completion_tokens"),
    "cached_tokens": ("cached_tokens", "cached_input_tokens"),
}
"""What is read, and the names it goes by; case, spaces and underscores do not matter."""
REQUIRED: Final = ("time", "input_tokens", "output_tokens")

_MOST_TOKENS: Final = 10**9
_SECOND: Final = 10**9
_OFFSETS_BELOW: Final = 10**9
"""A time below so many seconds counts from the start of the trace, one above from 1970."""


class Defaults(NamedTuple):
    """What holds where a row does not say it. `start_ns` is when a trace with its own clock begins."""

    tenant: str
    model: str
    start_ns: int


class Trace:
    """The rows of a file, once. `unordered` counts rows that came before the one above them: they are taken as of the
    same moment."""

    def __init__(self, path: Path, defaults: Defaults) -> None:
        self.unordered = 0
        self._path = path
        self._defaults = defaults

    def __iter__(self) -> Iterator[Request]:
        """Reads as it goes. Raises ConfigError with file, line and column for what is no request."""
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                rows = csv.reader(file)
                head = next(rows, None)
                if head is None:
                    raise ConfigError(f"{self._path}: the file is empty: expected a head with names of columns")
                places = _places(head, self._path)
                latest_ns = 0
                for row in rows:
                    if not row:
                        continue
                    request = self._request(row, places, rows.line_num)
                    if request.at_ns < latest_ns:
                        self.unordered += 1
                        request = request.moved(latest_ns)
                    latest_ns = request.at_ns
                    yield request
        except OSError as error:
            raise ConfigError(f"{self._path}: cannot read this file: {error.strerror}") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise ConfigError(f"{self._path}: not a CSV file in UTF-8: {error}") from None

    def _request(self, row: list[str], places: Mapping[str, int], line: int) -> Request:
        def text(column: str, otherwise: str = "") -> str:
            place = places.get(column)
            return (row[place].strip() if place is not None and place < len(row) else "") or otherwise

        def count(column: str) -> int | None:
            written = text(column)
            if not written:
                return None
            try:
                number = float(written)
                if 0 <= number <= _MOST_TOKENS and number == int(number):
                    return int(number)
            except ValueError:
                pass
            raise ConfigError(f"{self._path}:{line}: {column}: expected a number of tokens, got {written[:40]!r}")

        missing = [column for column in REQUIRED if not text(column)]
        if missing:
            raise ConfigError(f"{self._path}:{line}: {', '.join(missing)}: nothing stands here")
        try:
            at_ns = moment_ns(text("time"), self._defaults.start_ns)
        except ValueError as error:
            raise ConfigError(f"{self._path}:{line}: time: {error}") from None
        return Request(
            at_ns=at_ns,
            tenant=text("tenant", self._defaults.tenant),
            model=text("model", self._defaults.model),
            input_tokens=count("input_tokens") or 0,
            output_tokens=count("output_tokens") or 0,
            cached_tokens=count("cached_tokens") or 0,
            max_tokens=count("max_tokens") or None,
            key=text("key"),
            project=text("project"),
            end_user=text("end_user"),
            conversation=text("conversation"),
        )


def moment_ns(written: str, start_ns: int) -> int:
    """Nanoseconds since 1970 of a row's time: seconds from the start of the trace, or seconds, milli-, micro- or
    nanoseconds since 1970, or a date and time (in UTC, unless it says its zone). ValueError says what is allowed."""
    told = f"expected seconds or a date and time, got {written[:40]!r}"
    if re.fullmatch(r"\d{1,20}(\.\d*)?([eE][+-]?\d{1,2})?", written):
        seconds = float(written)
        if seconds < _OFFSETS_BELOW:
            return start_ns + round(seconds * _SECOND)
        for unit in (1, 10**3, 10**6, 10**9):
            if seconds / unit < 10**11:
                return round(seconds / unit * _SECOND)
        raise ValueError(told)
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise ValueError(told) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment.year < 1971:
        raise ValueError(told)
    return int(moment.timestamp()) * _SECOND + moment.microsecond * 1000


def _places(head: list[str], path: Path) -> dict[str, int]:
    """Where each column stands."""
    plain = [_plain(name) for name in head]
    found: dict[str, int] = {}
    for column, names in COLUMNS.items():
        for name in names:
            if _plain(name) in plain:
                found[column] = plain.index(_plain(name))
                break
    missing = [column for column in REQUIRED if column not in found]
    if missing:
        known = "; ".join(f"{column} may be called {', '.join(COLUMNS[column])}" for column in missing)
        raise ConfigError(f"{path}:1: no column for {' and '.join(missing)}: {known}")
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
