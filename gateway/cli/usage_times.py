"""How a person writes a time on the command line: `7d`, `2026-11-01`, `2026-11-01T12:00`. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_AGO: Final = re.compile(r"(\d{1,6})([mhdw])").fullmatch
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment_ns(text: str, zone: ZoneInfo, now_ns: int) -> int:
    """Nanoseconds since the Unix epoch. So long ago (`30m`, `12h`, `7d`, `4w`); or a day or a time in the zone, unless
    the time says its own (`…Z`, `…+02:00`). ValueError says what is allowed."""
    ago = _AGO(text)
    try:
        if ago is not None:
            moment = now_ns - int(timedelta(**{_UNITS[ago[2]]: int(ago[1])}).total_seconds()) * 10**9
        else:
            found = datetime.fromisoformat(text)
            moment = int((found if found.tzinfo is not None else found.replace(tzinfo=zone)).timestamp()) * 10**9
        if moment < 0:
            raise ValueError
        return moment
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time: write how long ago (30m, 12h, 7d, 4w), a day (2026-11-01) or a moment "
            "(2026-11-01T12:00, 2026-11-01T12:00Z)"
        ) from None
