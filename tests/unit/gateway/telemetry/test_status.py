from __future__ import annotations

from gateway.telemetry.gauges import EndpointGauges, WorkerGauges
from gateway.telemetry.status import Status


def test_a_worker_that_ended_has_nothing_in_flight_and_keeps_its_totals() -> None:
    worker = Status("1").worker(0)
    worker.started()
    worker.beat(WorkerGauges(in_flight=4, cpu_s=3.0, unwritten=2, endpoints=[EndpointGauges("b", "e", 4)]), 0.01)
    worker.ended()
    assert (worker.up, worker.gauges.in_flight, worker.gauges.endpoints, worker.loop_lag_s) == (False, 0, [], 0.0)
    worker.started()
    worker.beat(WorkerGauges(cpu_s=1.0), 0.0)
    assert (worker.starts, worker.cpu_s.total, worker.unwritten.total) == (2, 4.0, 2)


def test_counts_by_code_rise_over_all_processes_of_a_slot() -> None:
    worker = Status("1").worker(0)
    for codes in ({"a": 5}, {}, {"a": 7, "b": 3}, {"b": 2}):  # three processes, the second heard of twice
        worker.beat(WorkerGauges(http_errors=codes), 0.0)
    assert {code: count.total for code, count in worker.http_errors.items()} == {"a": 12, "b": 5}


def test_the_first_configuration_is_no_reload() -> None:
    status = Status("1")
    status.configured("a" * 64)
    assert (status.reloads_ok, status.config_ok) == (0, True)
    status.refused()
    assert (status.reloads_failed, status.config_ok, status.digest) == (1, False, "a" * 64)
    status.configured("b" * 64)  # by what was made by API: the files are as bad as before
    assert (status.reloads_ok, status.config_ok, status.digest) == (1, False, "b" * 64)
    status.accepted()
    assert status.config_ok
