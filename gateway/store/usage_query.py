"""A question about usage, as SQL over the ledger's columns. Pure: text in, text out.

Windows are those of meters: a day in a zone is what clocks there call that day. DuckDB counts in UTC; the zone's offset
is put into the query as it was over the time asked for, which costs less than to ask the calendar for every row.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.store.ledger_rows import text

BY: Final = (
    *("tenant", "project", "key", "end_user", "model", "served_model", "backend", "endpoint", "conversation", "trace"),
    *("outcome", "code", "id"),
)
"""What usage can be told by."""

WINDOWS: Final = ("hour", "day", "week", "month")

_SUMS: Final = (
    ("requests", "count(*)"),
    ("refused", "count(*) FILTER (outcome = 'refused')"),
    ("input_tokens", "sum(input_tokens)"),
    ("cached_input_tokens", "sum(cached_input_tokens)"),
    ("output_tokens", "sum(output_tokens)"),
    ("reasoning_tokens", "sum(reasoning_tokens)"),
    ("cost_usd", "sum(charge_nanos)"),
    ("estimated_usd", "sum(charge_nanos) FILTER (usage_from IN ('bound', 'held'))"),
    ("waste_tokens", "sum(waste_tokens)"),
    ("waste_usd", "sum(waste_nanos)"),
)
SUMS: Final = tuple(name for name, _ in _SUMS)
"""The columns of an answer that are sums. `estimated_usd` is the part of the cost whose tokens nobody counted."""

_DAY_US: Final = 86_400 * 10**6
_HOUR_US: Final = 3_600 * 10**6

_FROM_S: Final = 1_704_067_200
"""2024: no ledger is older."""
_YEARS_S: Final = 10 * 31_557_600
_STEP_S: Final = 86_400


class Question(msgspec.Struct, frozen=True):
    """What is asked. Times are nanoseconds since the Unix epoch: requests that began in [since, until) count."""

    by: tuple[str, ...] = ()
    window: str = ""
    zone: str = "UTC"
    since_ns: int | None = None
    until_ns: int | None = None
    only: tuple[tuple[str, str], ...] = ()
    """Columns of `BY` and the value each must have."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the answer."""
        return (*((self.window,) if self.window else ()), *self.by, *SUMS)


def query(question: Question, source: str) -> str:
    """The query; `source` is one that gives the ledger's columns. The dearest rows of each window come first."""
    by = [f'"{name}"' for name in question.by]
    sums = [f"coalesce({expression}, 0)::HUGEINT AS {name}" for name, expression in _SUMS]
    offset = _offset(question)
    windows: list[str] = []
    shown: list[str] = []
    begun = "window_"
    if question.window == "hour":
        windows = [f"(epoch_us(started) + {offset}) // {_HOUR_US} AS window_", f"{offset} AS offset_"]
        shown = [f'{_hour(question)} AS "hour"']
        begun = f"window_ * {_HOUR_US} - offset_"
    elif question.window:
        windows = [f"(epoch_us(started) + {offset}) // {_DAY_US} AS window_"]
        shown = [f'{_date(question.window)} AS "{question.window}"']
    inner = f"SELECT {', '.join([*windows, *by, *sums])} FROM ({source}){_where(question)}"
    if windows or by:
        inner += " GROUP BY ALL"
    # Sums by the day first: what is costly about the calendar is then done for a few rows.
    again = ", ".join(_usd(name) if name.endswith("_usd") else f"sum({name})::HUGEINT AS {name}" for name in SUMS)
    outer = f"SELECT {', '.join([*shown, *by, again])} FROM ({inner})"
    if shown or by:
        first = [f"min({begun})"] if question.window else []
        outer += " GROUP BY ALL ORDER BY " + ", ".join([*first, "cost_usd DESC", "requests DESC", *by])
    return outer


def _usd(name: str) -> str:
    """SQL: nano-dollars as an exact decimal of dollars."""
    return f"(sum({name})::DECIMAL(28, 0) * 0.000000001::DECIMAL(10, 9))::DECIMAL(38, 9) AS {name}"


def _where(question: Question) -> str:
    wanted = [f'"{name}" = {text(value)}' for name, value in question.only]
    for sign, time_ns in ((">=", question.since_ns), ("<", question.until_ns)):
        if time_ns is not None:
            wanted.append(f"started {sign} make_timestamp({-(-time_ns // 1000)})")
    return " WHERE " + " AND ".join(wanted) if wanted else ""


def _hour(question: Question) -> str:
    """SQL: `2026-10-25T02:00+01:00`; the hour that a change of clocks repeats is two."""
    named = {offset_us: _signed(offset_us) for _, offset_us in _changes(question)}
    cases = "".join(f" WHEN {offset_us} THEN {text(name)}" for offset_us, name in named.items())
    return f"strftime(make_timestamp(window_ * {_HOUR_US}), '%Y-%m-%dT%H:%M') || CASE offset_{cases} END"


def _date(window: str) -> str:
    """SQL: `2026-11-22`, `2026-W47`, `2026-11`."""
    format_ = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}[window]
    return f"strftime(make_timestamp(window_ * {_DAY_US}), '{format_}')"


def _signed(offset_us: int) -> str:
    minutes = abs(offset_us) // 60_000_000
    return f"{'-' if offset_us < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def _offset(question: Question) -> str:
    """SQL: what is to be added to UTC for the time in the zone, in microseconds."""
    *before, (_, last) = changes = list(_changes(question))
    if not before:
        return f"{last}"
    cases = "".join(
        f" WHEN started < make_timestamp({until_s * 10**6}) THEN {offset_us}"
        for (_, offset_us), (until_s, _) in zip(before, changes[1:], strict=True)
    )
    return f"(CASE{cases} ELSE {last} END)"


def _changes(question: Question) -> Iterator[tuple[int, int]]:
    since_s = _FROM_S if question.since_ns is None else question.since_ns // 10**9
    until_s = since_s + _YEARS_S if question.until_ns is None else question.until_ns // 10**9
    return offsets(ZoneInfo(question.zone), since_s, max(since_s, until_s))


def offsets(zone: ZoneInfo, since_s: int, until_s: int) -> Iterator[tuple[int, int]]:
    """The seconds from which another offset (µs) of the zone counts, the first one being `since_s`."""
    begin, offset = since_s, _offset_us(zone, since_s)
    yield begin, offset
    while begin < until_s:
        later = min(begin + _STEP_S, until_s)
        if _offset_us(zone, later) != offset:
            low, high = begin, later
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset_us(zone, middle) == offset else (low, middle)
            later, offset = high, _offset_us(zone, high)
            yield later, offset
        begin = later


def _offset_us(zone: ZoneInfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, UTC).astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) * 10**6
