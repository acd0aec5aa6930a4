from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.cli.usage_times import moment_ns

BERLIN = ZoneInfo("Europe/Berlin")
NOW_NS = 1_800_000_000 * 10**9


@pytest.mark.parametrize(("text", "ago_s"), [("30m", 1_800), ("12h", 43_200), ("7d", 604_800), ("4w", 2_419_200)])
def test_so_long_ago(text: str, ago_s: int) -> None:
    assert moment_ns(text, BERLIN, NOW_NS) == NOW_NS - ago_s * 10**9


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", "2026-11-01T00:00+01:00"),
        ("2026-07-01", "2026-07-01T00:00+02:00"),
        ("2026-11-01T12:30", "2026-11-01T12:30+01:00"),
        ("2026-11-01T12:30:05", "2026-11-01T12:30:05+01:00"),
        ("2026-11-01T12:30Z", "2026-11-01T12:30+00:00"),
        ("2026-11-01T12:30+05:30", "2026-11-01T12:30+05:30"),
    ],
)
def test_a_day_or_a_time_is_meant_in_the_zone_unless_it_says_its_own(text: str, moment: str) -> None:
    assert moment_ns(text, BERLIN, NOW_NS) == int(datetime.fromisoformat(moment).timestamp()) * 10**9


@pytest.mark.parametrize("text", ["", "yesterday", "7", "d", "7y", "-7d", "2026-13-01", "999999w", "0001-01-01"])
def test_anything_else_says_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: write how long ago"):
        moment_ns(text, BERLIN, NOW_NS)
