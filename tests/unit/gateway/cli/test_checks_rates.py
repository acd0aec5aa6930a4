"""Figures against values worked out by others (Wilson's interval: R's prop.test without continuity correction)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.checks_rates import Confusion, rate


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(85, 100, 0.7672, 0.9069), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 2, 0.0945, 0.9055)],
)
def test_the_interval_is_wilson_s(hits: int, total: int, low: float, high: float) -> None:
    found = rate(hits, total)
    assert found is not None
    assert found.value == hits / total
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


def test_nothing_counted_is_no_rate() -> None:
    assert rate(0, 0) is None
    assert Confusion().f1 is None


def test_texts_are_counted_by_label_and_finding() -> None:
    counted = Confusion()
    for labelled, flagged in [(True, True)] * 6 + [(True, False)] * 2 + [(False, True)] * 3 + [(False, False)] * 9:
        counted = counted.plus(labelled, flagged)
    assert counted == Confusion(6, 2, 3, 9)
    assert counted.texts == 20
    assert counted.precision is not None
    assert counted.recall is not None
    assert counted.f1 is not None
    assert counted.false_positive_rate is not None
    assert (counted.precision.value, counted.recall.value) == (6 / 9, 6 / 8)
    assert counted.false_positive_rate.value == 3 / 12
    assert counted.f1.value == pytest.approx(2 * (6 / 9) * (6 / 8) / (6 / 9 + 6 / 8))
    assert str(counted.recall) == "0.750 (0.409–0.929)"


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_rate_lies_between_its_bounds(hits: int, others: int) -> None:
    found = rate(hits, hits + others)
    if found is not None:
        assert 0 <= found.low <= found.value + 1e-12
        assert found.value - 1e-12 <= found.high <= 1
