from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config.snapshot_meters import MOST_SLOTS, NO_WINDOW, Window
from gateway.policy import windows

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/St_Johns", "Asia/Beirut", "Africa/Cairo",
    "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "America/Nuuk", "America/Havana", "Asia/Tehran",
)  # fmt: skip


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def local(ns: int, zone: str) -> str:
    return datetime.fromtimestamp(ns // SECOND, ZoneInfo(zone)).isoformat()


def test_a_day_is_that_of_its_zone() -> None:
    moment = at("2026-11-22T23:30:00")
    assert windows.instance(Window("day"), moment) == "2026-11-22"
    assert windows.instance(Window("day", zone="Europe/Berlin"), moment) == "2026-11-23"
    assert windows.instance(Window("month", zone="Asia/Tokyo"), at("2026-11-30T16:00:00")) == "2026-12"


@pytest.mark.parametrize(
    ("day", "week"),
    [
        ("2026-11-22", "2026-W47"),  # a Sunday
        ("2026-11-23", "2026-W48"),  # a Monday
        ("2027-01-01", "2026-W53"),
        ("2027-01-04", "2027-W01"),
        ("2024-12-30", "2025-W01"),
    ],
)
def test_a_week_begins_on_monday_and_has_its_iso_number(day: str, week: str) -> None:
    assert windows.instance(Window("week"), at(day)) == week


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_on_which_clocks_change_has_23_or_25_hours(day: str, hours: int) -> None:
    window = Window("day", zone="Europe/Berlin")
    start = at(day, "Europe/Berlin")
    end = windows.ends_ns(window, start)
    assert end is not None
    assert end - start == hours * HOUR
    assert {windows.instance(window, moment) for moment in range(start, end, HOUR // 4)} == {day}


def test_a_day_whose_midnight_does_not_exist_begins_with_the_change() -> None:
    window = Window("day", zone="Asia/Beirut")
    end = windows.ends_ns(window, at("2026-03-28T12:00:00", "Asia/Beirut"))
    assert end is not None
    assert local(end, "Asia/Beirut") == "2026-03-29T01:00:00+03:00"


def test_a_day_that_was_left_out_is_no_window() -> None:
    window = Window("day", zone="Pacific/Apia")
    end = windows.ends_ns(window, at("2011-12-29T12:00:00", "Pacific/Apia"))
    assert end is not None
    assert windows.instance(window, end) == "2011-12-31"


def test_the_end_of_a_month_is_the_beginning_of_the_next_also_over_a_change_of_clocks() -> None:
    window = Window("month", zone="Europe/Berlin")
    end = windows.ends_ns(window, at("2026-10-31T23:59:59", "Europe/Berlin"))
    assert end == at("2026-11-01T00:00:00", "Europe/Berlin")
    assert windows.ends_ns(window, at("2026-10-01T00:00:00", "Europe/Berlin")) == end
    assert windows.ends_ns(Window("month"), at("2026-12-05")) == at("2027-01-01")


@given(
    st.sampled_from(("day", "week", "month")),
    st.sampled_from(ZONES),
    st.integers(at("1995-01-01") // SECOND, at("2060-01-01") // SECOND),
    st.integers(0, SECOND - 1),
)
@example("day", "America/Sao_Paulo", at("2018-02-17T23:30:00", "America/Sao_Paulo") // SECOND, 0)
@example("day", "America/St_Johns", at("2006-10-28T23:30:00", "America/St_Johns") // SECOND, 0)
def test_a_window_ends_at_the_first_instant_that_is_not_in_it(kind: str, zone: str, seconds: int, ns: int) -> None:
    window = Window(kind, zone=zone)  # type: ignore[arg-type]
    moment = seconds * SECOND + ns
    here = windows.instance(window, moment)
    end = windows.ends_ns(window, moment)
    assert end is not None
    assert end > moment
    assert windows.instance(window, end) != here
    assert windows.instance(window, end - 1) == here
    step = max(1, (end - moment) // 50)
    assert {windows.instance(window, inside) for inside in range(moment, end, step)} == {here}


@given(st.sampled_from(ZONES), st.dates(datetime(1995, 1, 1).date(), datetime(2060, 1, 1).date()))
def test_windows_follow_each_other_without_a_gap(zone: str, day: object) -> None:
    window = Window("day", zone=zone)
    moment = at(f"{day}T12:00:00", zone)
    names = []
    for _ in range(4):
        names.append(windows.instance(window, moment))
        end = windows.ends_ns(window, moment)
        assert end is not None
        moment = end
    if zone != "America/St_Johns":  # its clocks went back over midnight until 2011
        assert names == sorted(set(names))


def test_other_windows_are_always_the_same_and_never_end() -> None:
    for window in (Window("rolling", 60, 1), Window("lifetime"), NO_WINDOW):
        assert windows.instance(window, at("2026-11-22")) == ""
        assert windows.ends_ns(window, at("2026-11-22")) is None


@given(st.integers(1, 30 * 86_400), st.integers(0, 4_000_000_000 * SECOND))
def test_a_rolling_window_has_at_most_its_slots_and_the_one_being_filled(seconds: int, moment: int) -> None:
    window = Window("rolling", seconds, -(-seconds // MOST_SLOTS))
    first = windows.slot(window, max(0, moment - seconds * SECOND))
    assert windows.slot(window, moment) - first + 1 <= MOST_SLOTS + 1
    assert windows.slot(window, moment) * window.slot_s * SECOND <= moment


def test_windows_have_the_names_of_bucket_keys() -> None:
    named = [Window("rolling", 3600, 60), Window("month", zone="Europe/Berlin"), Window("day"), Window("lifetime")]
    assert [windows.name(window) for window in [*named, NO_WINDOW]] == [
        "3600s", "month@Europe/Berlin", "day@UTC", "lifetime", "",
    ]  # fmt: skip


def test_a_moment_is_placed_as_the_standard_library_does() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for hours in range(0, 24 * 365, 7):
        moment = start + timedelta(hours=hours)
        expected = moment.astimezone(ZoneInfo("America/New_York"))
        window = Window("week", zone="America/New_York")
        assert windows.instance(window, int(moment.timestamp()) * SECOND) == expected.strftime("%G-W%V")
