"""The checks of the tables fail for a keeper that loses, doubles or mixes up anything."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.chaos.checks import CHECKS
from tests.chaos.evidence import Evidence
from tests.support.honest_account import honest, record


def lose_a_row_of_the_records_table(seen: Evidence) -> None:
    seen.tables.records = seen.tables.records[1:]


def lose_a_row_of_the_ledger(seen: Evidence) -> None:
    del seen.tables.ledger["d"]


def write_a_row_twice(seen: Evidence) -> None:
    seen.tables.records = [*seen.tables.records, record("a", 0)]


def book_a_row_twice(seen: Evidence) -> None:
    seen.tables.ledger["a"] = (2, 300)


def book_another_price(seen: Evidence) -> None:
    seen.tables.ledger["a"] = (1, 301)


def write_another_record(seen: Evidence) -> None:
    seen.tables.records[0].total_ms += 1


def write_a_record_of_nobody(seen: Evidence) -> None:
    seen.records = [each for each in seen.records if each.id != "d"]


def leave_a_record_unread(seen: Evidence) -> None:
    seen.tables.unread = 1


def lose_a_span(seen: Evidence) -> None:
    del seen.tables.spans["acme", "2"], seen.tables.told["acme", "2"]


def show_a_span_twice(seen: Evidence) -> None:
    seen.tables.told["acme", "1"] = 2


def hide_a_span(seen: Evidence) -> None:
    del seen.tables.told["acme", "1"]


def show_a_span_of_another_tenant(seen: Evidence) -> None:
    seen.tables.told["globex", "1"] = 1


def take_no_span(seen: Evidence) -> None:
    seen.tables.batches = seen.tables.batches[2:]
    seen.tables.spans, seen.tables.told = {}, {}


BROKEN: list[tuple[str, Callable[[Evidence], None]]] = [
    ("stored", lose_a_row_of_the_records_table),
    ("stored", lose_a_row_of_the_ledger),
    ("stored", write_a_row_twice),
    ("stored", book_a_row_twice),
    ("stored", book_another_price),
    ("stored", write_another_record),
    ("stored", write_a_record_of_nobody),
    ("stored", leave_a_record_unread),
    ("spans", lose_a_span),
    ("spans", show_a_span_twice),
    ("spans", hide_a_span),
    ("spans", show_a_span_of_another_tenant),
    ("spans", take_no_span),
]


@pytest.mark.parametrize(("check", "breaking"), BROKEN, ids=[breaking.__name__ for _, breaking in BROKEN])
def test_a_broken_keeper_is_found(check: str, breaking: Callable[[Evidence], None]) -> None:
    seen = honest()
    assert not CHECKS[check](seen).wrong
    breaking(seen)
    assert CHECKS[check](seen).wrong
