from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.config.snapshot_meters import Window, WindowKind
from gateway.policy import windows
from gateway.store import duck
from gateway.store.ledger_rows import Lines, from_json
from gateway.store.usage_query import SUMS, WINDOWS, Question, offsets, query
from tests.support.journals import a_record

BERLIN = ZoneInfo("Europe/Berlin")


def ns(text: str, zone: ZoneInfo = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * 10**9


def asked(folder: Path, question: Question, *columns: dict[str, Any]) -> list[tuple[Any, ...]]:
    rows, shared, lines = folder / "rows.json", folder / "shared.json", Lines()
    rows.write_bytes(lines.of([a_record(f"req_{number}", **its) for number, its in enumerate(columns)], "0-1"))
    shared.write_bytes(lines.shared())
    with duck.connection(folder, threads=1) as database:
        return database.execute(query(question, from_json([rows], shared))).fetchall()


def test_the_columns_are_those_that_are_promised(tmp_path: Path) -> None:
    for question in (Question(), Question(by=("tenant", "model")), Question(by=("key",), window="hour")):
        (answer,) = asked(tmp_path, question, {})
        assert len(answer) == len(question.columns)
        assert question.columns[-len(SUMS) :] == SUMS


def test_everything_is_summed_and_what_is_unknown_counts_nothing(tmp_path: Path) -> None:
    (answer,) = asked(
        tmp_path,
        Question(),
        {"charge_nanos": 1, "cached_input_tokens": 5, "reasoning_tokens": 6},
        {"charge_nanos": 2_000_000_000, "usage_from": "bound", "waste_tokens": 3, "waste_nanos": 4},
        {"charge_nanos": 10, "usage_from": "held", "input_tokens": None, "output_tokens": None},
        {"outcome": "refused", "input_tokens": None, "output_tokens": None},
    )
    assert dict(zip(SUMS, answer, strict=True)) == {
        "requests": 4,
        "refused": 1,
        "input_tokens": 24,
        "cached_input_tokens": 5,
        "output_tokens": 68,
        "reasoning_tokens": 6,
        "cost_usd": Decimal("2.000000011"),
        "estimated_usd": Decimal("2.00000001"),
        "waste_tokens": 3,
        "waste_usd": Decimal("0.000000004"),
    }


def test_no_sum_overflows(tmp_path: Path) -> None:
    (answer,) = asked(tmp_path, Question(), *[{"charge_nanos": 2**63 - 1, "input_tokens": 2**63 - 1}] * 3)
    assert answer[SUMS.index("cost_usd")] == Decimal(3 * (2**63 - 1)) / 10**9
    assert answer[SUMS.index("input_tokens")] == 3 * (2**63 - 1)


def test_no_request_is_a_row_of_zeros_without_names_and_no_row_with_them(tmp_path: Path) -> None:
    assert [int(value) for value in asked(tmp_path, Question())[0]] == [0] * len(SUMS)
    assert asked(tmp_path, Question(by=("tenant",))) == []


def test_the_dearest_come_first_within_each_window(tmp_path: Path) -> None:
    first, second = ns("2026-11-21T10:00"), ns("2026-11-22T10:00")
    answers = asked(
        tmp_path,
        Question(by=("tenant",), window="day", zone="Europe/Berlin"),
        {"tenant": "a", "charge_nanos": 1, "started_ns": second},
        {"tenant": "b", "charge_nanos": 5, "started_ns": second},
        {"tenant": "c", "started_ns": second},
        {"tenant": "d", "started_ns": second},
        {"tenant": "d", "started_ns": second},
        {"tenant": "z", "started_ns": first},
    )
    assert [answer[:2] for answer in answers] == [
        ("2026-11-21", "z"),
        *[("2026-11-22", tenant) for tenant in ("b", "a", "d", "c")],
    ]


def test_filters_and_times_keep_what_began_within_them(tmp_path: Path) -> None:
    at = ns("2026-11-22T10:00")
    columns = [{"tenant": f"t'{number % 2}", "started_ns": at + number * 10**9} for number in range(10)]
    question = Question(by=("id",), since_ns=at + 2 * 10**9, until_ns=at + 8 * 10**9, only=(("tenant", "t'1"),))
    assert sorted(answer[0] for answer in asked(tmp_path, question, *columns)) == ["req_3", "req_5", "req_7"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
@pytest.mark.parametrize("window", ["day", "week", "month"])
def test_a_request_counts_in_the_window_of_its_meters(tmp_path: Path, window: WindowKind, zone: str) -> None:
    moments = [
        ns(f"{day}T{hour}", ZoneInfo("UTC"))
        for day in ("2026-01-01", "2026-03-08", "2026-03-29", "2026-04-05", "2026-10-25", "2026-11-01", "2026-12-31")
        for hour in ("00:00", "00:59:59", "01:00", "04:00", "06:30", "10:30", "15:00", "18:29:59", "18:30", "23:59:59")
    ]
    question = Question(by=("id",), window=window, zone=zone, since_ns=min(moments), until_ns=max(moments) + 10**9)
    answers = asked(tmp_path, question, *[{"started_ns": moment} for moment in moments])
    told = {str(answer[1]): answer[0] for answer in answers}
    assert [told[f"req_{number}"] for number in range(len(moments))] == [
        windows.instance(Window(window, zone=zone), moment) for moment in moments
    ]


def test_the_hour_that_clocks_repeat_is_two(tmp_path: Path) -> None:
    begin = ns("2026-10-25T00:30", ZoneInfo("UTC"))  # 02:30 in summer; an hour later it is 02:30 again
    columns = [{"started_ns": begin + number * 1_800 * 10**9} for number in range(5)]
    for since_ns, until_ns in ((None, None), (begin, begin + 10**13)):
        question = Question(window="hour", zone="Europe/Berlin", since_ns=since_ns, until_ns=until_ns)
        answers = asked(tmp_path, question, *columns)
        assert [answer[:2] for answer in answers] == [
            ("2026-10-25T02:00+02:00", 1),
            ("2026-10-25T02:00+01:00", 2),
            ("2026-10-25T03:00+01:00", 2),
        ]


def test_offsets_change_at_the_second_clocks_do() -> None:
    year = [int(datetime(2026 + add, 1, 1, tzinfo=UTC).timestamp()) for add in (0, 1)]
    hour = 3_600 * 10**6
    assert list(offsets(BERLIN, *year)) == [
        (year[0], hour),
        (int(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp()), 2 * hour),
        (int(datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()), hour),
    ]
    assert list(offsets(ZoneInfo("UTC"), 5, 5)) == [(5, 0)]


def test_every_window_has_a_query(tmp_path: Path) -> None:
    for window in WINDOWS:
        assert len(asked(tmp_path, Question(window=window), {}, {})) == 1
