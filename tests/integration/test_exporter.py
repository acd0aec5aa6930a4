"""Spans of a running gateway, as a receiver of OTLP gets them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from gateway.store import record_spans
from gateway.store.journal_read import Tail, directories
from gateway.store.records import Record
from gateway.telemetry.spans import Span
from tests.integration.test_serve_crash import metric
from tests.support.gateway_process import KEY, GatewayProcess, chat_body, minimal, serving, until, write
from tests.support.otlp import Received, Receiver, receiving
from tests.support.ports import free_port

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def sending(receiver: Receiver, protocol: str = "http", **more: Any) -> dict[str, Any]:
    section = {"endpoint": receiver.url, "protocol": protocol, **more}
    return minimal(telemetry={"otlp": section})


def ask(gateway: GatewayProcess, model: str = "small", **more: str) -> int:
    said: dict[str, Any] = {"authorization": f"Bearer {KEY}", **more}
    return gateway.request("POST", "/v1/chat/completions", chat_body(model=model), **said).status


def records(gateway: GatewayProcess) -> list[Record]:
    found: list[Record] = []
    for directory in directories(gateway.state_dir):
        tail = Tail(directory)
        found += tail.drain()
        tail.close()
    return sorted(found, key=lambda record: record.started_ns)


def as_sent(span: Span, resource: Any) -> Received:
    """What is to come of a span of ours."""
    return Received(
        *(span.name, span.kind.value, span.trace_id, span.span_id, span.parent_id, span.start_ns, span.end_ns),
        attributes=span.attributes,
        status="error" if span.error else "unset",
        events=tuple((event.name, event.at_ns, event.attributes) for event in span.events),
        resource=resource,
    )


def begun(gateway: GatewayProcess) -> None:
    until((gateway.state_dir / "exporter.json").exists, "the exporter to begin")


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_every_span_of_every_request_comes_as_the_record_says(tmp_path: Path, protocol: str) -> None:
    with receiving(protocol) as receiver:
        more = {"headers": {"Authorization": "Bearer ${OTLP_TOKEN}"}}
        configuration = sending(receiver, protocol, **more)
        with serving(tmp_path, configuration, environment={"OTLP_TOKEN": "t0ken"}) as gateway:
            begun(gateway)
            assert ask(gateway, traceparent=PARENT) == 200
            assert ask(gateway, model="nowhere") == 404
            assert ask(gateway) == 200
            until(lambda: len(receiver.spans) >= 5, "all spans")
            until(lambda: metric(gateway, "lockgate_spans_exported_total") == 5, "the metric")
            assert metric(gateway, "lockgate_spans_exporter_up") == 1
            assert metric(gateway, "lockgate_spans_lost_total") == 0
            known = record_spans.Known({"scripted": "fake"})
            made = [span for record in records(gateway) for span in record_spans.spans(record, known)]
    resource = receiver.spans[0].resource
    assert resource["service.name"] == "lockgate"
    assert resource["service.instance.id"]
    assert sorted(receiver.spans, key=str) == sorted((as_sent(span, resource) for span in made), key=str)
    assert made[0].parent_id == PARENT[36:52]
    assert all(headers["authorization"] == "Bearer t0ken" for headers in receiver.headers)
    assert "t0ken" not in gateway.logged()


def test_a_receiver_that_is_away_delays_spans_and_no_request(tmp_path: Path) -> None:
    with receiving("http") as receiver, serving(tmp_path, sending(receiver)) as gateway:
        receiver.takes = False
        begun(gateway)
        assert ask(gateway) == 200
        gateway.until_event("spans_not_taken")
        assert [ask(gateway) for _ in range(5)] == [200] * 5
        until(lambda: metric(gateway, "lockgate_spans_exporter_up") == 0, "the metric")
        receiver.takes = True
        gateway.until_event("spans_taken_again")
        until(lambda: len(receiver.spans) == 12, "all spans")
        assert gateway.readiness()["ready"]


def test_a_killed_exporter_is_replaced_and_loses_nothing(tmp_path: Path) -> None:
    with receiving("http") as receiver:
        with serving(tmp_path, sending(receiver)) as gateway:
            begun(gateway)
            ask(gateway)
            until(lambda: len(receiver.spans) == 2, "the first spans")
            pid = gateway.exporter_pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            gateway.until_event("exporter_ended")
            assert ask(gateway) == 200
            until(lambda: gateway.exporter_pid() not in (None, pid), "another exporter")
        # What was recorded is sent before the end, also by one that has only just begun.
        assert len({span.span_id for span in receiver.spans}) == 4


def test_a_reload_begins_and_ends_it(tmp_path: Path) -> None:
    with receiving("http") as receiver, serving(tmp_path) as gateway:
        assert gateway.exporter_pid() is None
        write(gateway.folder, sending(receiver))
        begun(gateway)
        ask(gateway)
        until(lambda: len(receiver.spans) == 2, "spans")
        write(gateway.folder, minimal())
        until(lambda: not (gateway.state_dir / "exporter.json").exists(), "the end")
        ask(gateway)
    assert len(receiver.spans) == 2


def test_of_a_share_of_none_come_those_whose_callers_ask_for_it_and_those_that_failed(tmp_path: Path) -> None:
    with receiving("http") as receiver:
        found = sending(receiver, sample="0%")
        nobody = {"kind": "vllm", "endpoints": [{"url": f"http://127.0.0.1:{free_port()}"}]}
        found = {**found, "backends": {**found["backends"], "nobody": nobody}}
        found["models"] = {**found["models"], "dead": {"backend": "nobody"}}
        with serving(tmp_path, found) as gateway:
            begun(gateway)
            assert ask(gateway) == 200
            assert ask(gateway, traceparent=PARENT[:-2] + "00") == 200
            assert ask(gateway, model="dead", traceparent=PARENT[:-2] + "00") == 502
            assert ask(gateway, traceparent=PARENT) == 200
            gateway.stop()
            wanted = [record.id for record in records(gateway)[2:]]
    told = {span.attributes["lockgate.request.id"] for span in receiver.spans if span.kind == "server"}
    assert told == set(wanted)
