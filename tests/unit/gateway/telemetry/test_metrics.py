from __future__ import annotations

import pytest

from gateway.telemetry import names
from gateway.telemetry.metrics import Histogram, Metrics, Rising, codes


def labels_of(metrics: Metrics) -> list[tuple[str, str]]:
    return [(labels.tenant, labels.model) for labels in metrics.cells]


def ask(metrics: Metrics, tenant: str = "acme", alias: str = "small", backend: str = "gpu", code: str = "ok") -> None:
    metrics.cell(metrics.tenant(tenant), "chat", alias, backend, code, "answered", False).requests += 1


@pytest.mark.parametrize(("value", "bucket"), [(0.5, 0), (1.0, 0), (1.5, 1), (2.0, 1), (9.0, 2)])
def test_a_value_equal_to_a_bound_is_in_that_bucket(value: float, bucket: int) -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(value)
    assert histogram.counts[bucket] == 1
    assert histogram.total == value


def test_the_same_labels_are_the_same_cell() -> None:
    metrics = Metrics()
    ask(metrics)
    ask(metrics)
    assert [cell.requests for cell in metrics.cells.values()] == [2]


def test_tenants_beyond_the_bound_count_under_other() -> None:
    metrics = Metrics()
    for number in range(names.MOST_VALUES + 5):
        ask(metrics, tenant=f"t{number}")
    ask(metrics, tenant="t0")
    tenants = [labels.tenant for labels in metrics.cells]
    assert len(tenants) == names.MOST_VALUES + 1
    assert metrics.cells[next(labels for labels in metrics.cells if labels.tenant == "other")].requests == 5
    assert metrics.cells[next(labels for labels in metrics.cells if labels.tenant == "t0")].requests == 2


def test_combinations_beyond_the_bound_count_under_other() -> None:
    metrics = Metrics()
    for number in range(names.MOST_SERIES + 50):
        ask(metrics, tenant=f"t{number % 900}", alias=f"m{number // 900}")
    assert len(metrics.cells) <= names.MOST_SERIES + 1
    assert sum(cell.requests for cell in metrics.cells.values()) == names.MOST_SERIES + 50


def test_what_was_not_known_is_none_and_what_led_nowhere_is_other() -> None:
    metrics = Metrics()
    ask(metrics, tenant="", alias="", backend="")
    ask(metrics, alias="whatever", backend="")
    assert labels_of(metrics) == [("none", "none"), ("acme", "other")]


def test_codes_are_a_closed_set() -> None:
    metrics = Metrics()
    ask(metrics, code="made_up")
    assert [labels.code for labels in metrics.cells] == ["other"]
    assert {"ok", "crashed", "cancelled", "model_not_found", "upstream_timeout", "internal"} <= codes()


def test_attempts_beyond_the_bound_count_under_other() -> None:
    metrics = Metrics()
    for number in range(names.MOST_SERIES + 10):
        metrics.attempt("gpu", f"http://{number}", "first", "ok")
    assert len(metrics.attempts) == names.MOST_SERIES + 1
    assert metrics.attempts["other", "other", "first", "ok"] == 10


def test_a_total_goes_on_when_its_process_is_replaced() -> None:
    total = Rising()
    for reading in (1.0, 5.0, 0.5, 2.0):
        total.read(reading)
    assert total.total == 7.0
