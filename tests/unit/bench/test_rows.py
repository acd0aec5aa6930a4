"""The verdicts of the benchmark, its arithmetic, and its table."""

from __future__ import annotations

import pytest

from tests.bench import bodies
from tests.bench.report import compose
from tests.bench.rows import KEYS, ROWS, Measured, Row, judge, rounded
from tests.bench.stats import ratio_of_medians
from tests.bench.table import BEGIN, END, place, render

SURROUNDINGS = {
    "date": "2026-11-22T01:02:03+00:00",
    "commit": {"id": "0123456789abcdef", "dirty": True},
    "machine": {"cpu": "A CPU", "cores": 2, "kernel": "6.1"},
    "versions": {"python": "3.11.7", "nginx": "1.22.1"},
}


def test_a_value_at_its_bar_passes_and_one_beyond_it_fails() -> None:
    cost, gain = Row("cost", "", "×", "at most", 2.0), Row("gain", "", "×", "at least", 200)
    assert [judge(cost, Measured(value)) for value in (1.2, 2.0, 2.01)] == ["pass", "pass", "fail"]
    assert [judge(gain, Measured(value)) for value in (201, 200, 199)] == ["pass", "pass", "fail"]


def test_a_value_is_judged_as_it_is_shown() -> None:
    assert judge(Row("cost", "", "×", "at most", 1.4), Measured(1.4004)) == "pass"
    assert [rounded(value) for value in (1.4004, 0.012345, 26842.3, 199.6)] == [1.4, 0.0123, 26842.0, 200.0]


def test_a_row_without_a_value_is_skipped_and_one_without_a_bar_is_shown() -> None:
    assert judge(Row("x", "", "", "shown"), Measured(0.3)) == "shown"
    assert judge(Row("x", "", "", "at most", 1), Measured(None, reason="nginx is not installed")) == "skipped"


def test_a_measurement_that_went_wrong_is_a_failure_and_not_skipped() -> None:
    assert judge(Row("x", "", "", "at most", 1), Measured(None, reason="3 errors", broken=True)) == "fail"


def test_one_disturbed_round_does_not_move_the_ratio() -> None:
    assert ratio_of_medians([30.0, 31.0, 900.0], [20.0, 15.5, 14.0]) == 2.0


def test_the_results_hold_every_key_with_its_value_or_the_reason_why_there_is_none() -> None:
    results = compose({"import_ms": Measured(123.456, {"import_ms": {"median": 123.456}})}, {})
    assert set(KEYS) < set(results)
    assert results["import_ms"] == 123.0
    rows = results["rows"]
    assert isinstance(rows, dict)
    assert rows["import_ms"]["status"] == "pass"
    assert rows["ready_s"] == {
        "what": "`lockgate serve` to the ready line, without the embedded model",
        "value": None,
        "unit": "s",
        "bar": "≤ 1.5 s",
        "status": "skipped",
        "reason": "not asked for in this run",
    }


def test_the_table_has_a_line_for_each_row_and_says_where_it_was_taken() -> None:
    table = render(compose({"unary_cpu_x_nginx": Measured(1.83)}, SURROUNDINGS))
    assert "| 1.83 × | ≤ 2× | pass |" in table
    assert "| – | ≤ 1.5 s | skipped: not asked for in this run |" in table
    assert "commit 0123456789 with local changes, A CPU, 2 cores" in table
    assert table.count("\n| ") >= len(ROWS)


def test_the_table_replaces_what_stands_between_the_markers_and_nothing_else() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert place(place(text, "new"), "newer") == f"before\n{BEGIN}\nnewer\n{END}\nafter\n"
    with pytest.raises(ValueError, match="markers"):
        place("no markers", "new")


def test_the_bodies_have_the_sizes_the_table_speaks_of() -> None:
    assert len(bodies.chat_body()) == len(bodies.chat_body("model-00001", stream=True)) == 2048
    assert 1_000_000 <= len(bodies.images_body()) <= 1_001_000
