"""Which window a moment falls in, and when that window ends. Nothing is ever reset: the name of the window changes.

Days, weeks (from Monday, numbered as ISO 8601 does) and months begin at midnight of the meter's zone. Where clocks
change, a day has 23 or 25 hours; where a change skips midnight, the day begins with the change.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from gateway.config.snapshot_meters import Window, window_name
from gateway.config.units_money import CALENDAR

_SECOND: Final = 1_000_000_000

name = window_name
"""The window as bucket keys have it: `month@Europe/Berlin`, `3600s`, `lifetime`, ""."""


def instance(window: Window, wall_ns: int) -> str:
    """The day, week or month a moment falls in: `2026-11-22`, `2026-W47`, `2026-11`; "" for windows that are always the
    same one."""
    kind = window.kind
    if kind not in CALENDAR:
        return ""
    return _named(kind, _date(window.zone, wall_ns // _SECOND))


def ends_ns(window: Window, wall_ns: int) -> int | None:
    """When the window of that moment ends (the first instant that is not in it); None for those that never do."""
    kind = window.kind
    if kind not in CALENDAR:
        return None
    seconds = wall_ns // _SECOND
    today = _date(window.zone, seconds)
    here = _named(kind, today)
    after = _midnight(window.zone, _next(kind, today), seconds)
    if _named(kind, _date(window.zone, after - 1)) != here:  # a clock change took the date along before midnight
        after = _change(window, here, seconds, after)
    return after * _SECOND


def slot(window: Window, wall_ns: int) -> int:
    """The number of the slot of a rolling window, counted from 1970."""
    return wall_ns // (window.slot_s * _SECOND)


def _named(kind: str, day: date) -> str:
    if kind == "day":
        return day.isoformat()
    if kind == "month":
        return day.isoformat()[:7]
    year, week, _ = day.isocalendar()
    return f"{year:04d}-W{week:02d}"


def _next(kind: str, day: date) -> date:
    """The first day of the next window."""
    if kind == "day":
        return day + timedelta(days=1)
    if kind == "week":
        return day + timedelta(days=7 - day.weekday())
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _date(zone: str, seconds: int) -> date:
    return datetime.fromtimestamp(seconds, _zone(zone)).date()


def _midnight(zone: str, day: date, after: int) -> int:
    """The first second, after the given one, at which clocks show that day's midnight."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=_zone(zone))
    first = int(midnight.timestamp())
    return first if first > after else int(midnight.replace(fold=1).timestamp())


def _change(window: Window, here: str, inside: int, outside: int) -> int:
    """The first second that is no longer in the window, found between one that is and one that is not."""
    while outside - inside > 1:
        middle = (inside + outside) // 2
        if _named(window.kind, _date(window.zone, middle)) == here:
            inside = middle
        else:
            outside = middle
    return outside


@lru_cache(maxsize=512)
def _zone(zone: str) -> ZoneInfo:
    return ZoneInfo(zone)
