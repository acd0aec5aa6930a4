from __future__ import annotations

from gateway.store.compaction import LARGEST, day_name, mergeable
from gateway.store.manifest import LedgerFile, RecordFile


def files(day: str, *rows: int) -> list[LedgerFile]:
    return [LedgerFile(f"{day}/{number:06d}.parquet", count, 1) for number, count in enumerate(rows)]


def test_today_only_many_of_a_size_are_merged() -> None:
    assert mergeable(files("2026-11-22", *[10] * 7), "2026-11-22") == []
    assert mergeable(files("2026-11-22", *[10] * 4, *[5_000] * 4), "2026-11-22") == []
    (group,) = mergeable(files("2026-11-22", *[10] * 4, 5_000, *[10] * 5), "2026-11-22")
    assert [file.rows for file in group] == [10] * 8


def test_of_a_day_that_is_over_all_are_merged_unless_one_is_far_larger() -> None:
    assert mergeable(files("2026-11-21", 10), "2026-11-22") == []
    (group,) = mergeable(files("2026-11-21", 10, 80, 700), "2026-11-22")
    assert [file.rows for file in group] == [10, 80, 700]
    assert mergeable(files("2026-11-21", 10, 81), "2026-11-22") == []
    assert mergeable(files("2026-11-21", LARGEST, 10), "2026-11-22") == []


def test_days_are_named_as_people_write_them() -> None:
    assert day_name(20_833) == "2027-01-15"
    assert day_name(0) == day_name(-1) == day_name(10**9) == "1970-01-01"


def test_files_of_two_classes_of_a_day_are_never_one() -> None:
    records = [RecordFile(f"class={kept}/day=2026-11-21/1.parquet", 10, 1, 0) for kept in ("30", "400", "30")]
    (group,) = mergeable(records, "2026-11-22")
    assert {file.partition for file in group} == {"class=30/day=2026-11-21"}
