from __future__ import annotations

import re

from gateway.telemetry import names
from gateway.telemetry.names import Metric

DEFINED = [value for value in vars(names).values() if isinstance(value, Metric)]


def test_every_metric_defined_is_exposed_and_documented() -> None:
    assert sorted(metric.name for metric in DEFINED) == sorted(metric.name for metric in names.ALL)


def test_names_are_prometheus_names_with_the_unit_and_kind_they_should_have() -> None:
    for metric in names.ALL:
        assert re.fullmatch(r"lockgate_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert list(metric.buckets) == sorted(set(metric.buckets))
        assert "_ms" not in metric.name


def test_every_metric_says_what_it_means() -> None:
    for metric in names.ALL:
        assert metric.help.endswith(".")
        assert "|" not in metric.help


def test_the_table_has_a_row_for_each() -> None:
    rows = names.table().splitlines()
    assert len(rows) == 2 + len(names.ALL)
    assert rows[2].startswith("| `lockgate_requests_total` | counter | `tenant`, `endpoint`, `model`,")
