from __future__ import annotations

from gateway.telemetry.gauges import EndpointGauges, WorkerGauges


def test_gauges_come_back_as_they_were_sent() -> None:
    gauges = WorkerGauges(
        in_flight=3,
        streams=2,
        connections=9,
        journal_reserve_ok=False,
        resident_bytes=2**31,
        cpu_s=1.25,
        unwritten=1,
        unrecorded=4,
        http_errors={"request_timeout": 2, "stalled_reader": 1},
        checks={"classifier.questions": 7, "classifier.seconds": 0.25},
        endpoints=[EndpointGauges("gpu-a", "http://a", 5, breaker_open=True), EndpointGauges("gpu-b", "unix:/b")],
    )
    assert WorkerGauges.read(gauges.flat()) == gauges


def test_what_is_sent_is_numbers_by_name() -> None:
    assert all(
        type(value) is float
        for value in WorkerGauges(http_errors={"c": 1}, checks={"c.late": 1}, endpoints=[EndpointGauges("b", "e")])
        .flat()
        .values()
    )


def test_unknown_names_are_passed_over_and_missing_ones_keep_their_defaults() -> None:
    sent = {"in_flight": 2.0, "of_the_future": 1.0, "endpoint\tb\te\tof_the_future": 1.0}
    assert WorkerGauges.read(sent) == WorkerGauges(in_flight=2, endpoints=[EndpointGauges("b", "e")])
