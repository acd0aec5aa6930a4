from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry import names
from gateway.telemetry.export import Exposition
from gateway.telemetry.gauges import WorkerGauges
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.status import Status


def exposition() -> Exposition:
    metrics, status = Metrics(), Status("1.2.3")
    cell = metrics.cell("acme", "chat", "small", "gpu", "ok", "answered", True)
    cell.requests = 2
    cell.latencies.duration.observe(0.07)
    cell.latencies.duration.observe(9_999.0)
    cell.latencies.ttft.observe(0.02)
    metrics.cell("acme", "chat", "small", "gpu", "ok", "answered", False).requests = 3
    status.configured("d" * 64)
    status.worker(0).started()
    for slot in (0, 1):
        status.worker(slot).beat(WorkerGauges(http_errors={"request_timeout": 2}), 0.0)
    return Exposition(metrics, status)


def test_every_metric_is_exposed_with_its_help_also_before_anything_happened() -> None:
    body = Exposition(Metrics(), Status("1")).scrape()[1].decode()
    for metric in names.ALL:
        assert f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n" in body


def test_samples_carry_the_labels_that_are_documented() -> None:
    for family in text_string_to_metric_families(exposition().scrape()[1].decode()):
        (metric,) = (m for m in names.ALL if m.name.removesuffix("_total") == family.name)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)


def test_streamed_and_unary_requests_are_one_count() -> None:
    body = exposition().scrape()[1].decode()
    assert 'code="ok",endpoint="chat",model="small",outcome="answered",tenant="acme"} 5.0\n' in body


def test_broken_http_is_one_count_of_all_workers() -> None:
    assert 'lockgate_http_errors_total{code="request_timeout"} 4.0\n' in exposition().scrape()[1].decode()


def test_what_checks_asked_is_one_count_of_all_workers_by_kind_and_reason() -> None:
    status = Status("1")
    for slot in (0, 1):
        counts = {"classifier.questions": 3, "classifier.seconds": 0.5, "classifier.late": 1, "webhook.unavailable": 2}
        status.worker(slot).beat(WorkerGauges(checks=counts), 0.0)
    body = Exposition(Metrics(), status).scrape()[1].decode()
    assert 'lockgate_check_questions_total{kind="classifier"} 6.0\n' in body
    assert 'lockgate_check_seconds_total{kind="classifier"} 1.0\n' in body
    assert 'lockgate_check_failures_total{kind="classifier",reason="late"} 2.0\n' in body
    assert 'lockgate_check_failures_total{kind="webhook",reason="unavailable"} 4.0\n' in body


def test_buckets_are_cumulative_and_end_in_everything() -> None:
    body = exposition().scrape()[1].decode()
    prefix = 'lockgate_request_duration_seconds_bucket{endpoint="chat",le="'
    assert prefix + '0.05",model="small",stream="true"} 0.0' in body
    assert prefix + '0.1",model="small",stream="true"} 1.0' in body
    assert prefix + '600.0",model="small",stream="true"} 1.0' in body
    assert prefix + '+Inf",model="small",stream="true"} 2.0' in body
    assert 'lockgate_request_duration_seconds_count{endpoint="chat",model="small",stream="true"} 2.0' in body


def test_first_tokens_are_of_streams_only() -> None:
    body = exposition().scrape()[1].decode()
    assert body.count("lockgate_time_to_first_token_seconds_count{") == 1


def test_a_scraper_that_takes_open_metrics_gets_it() -> None:
    content_type, body = exposition().scrape("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    families = openmetrics(body.decode())  # type: ignore[no-untyped-call]
    assert {family.name for family in families} >= {"lockgate_requests", "lockgate_worker_up"}
