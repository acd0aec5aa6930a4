"""Agents send their spans to a running gateway, which keeps them beside its own."""

from __future__ import annotations

import gzip
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from gateway.store import manifest, span_spool, trace_read
from gateway.store.trace_read import Asked, Trace
from gateway.wire.otlp import sent
from tests.integration.test_exporter import records
from tests.integration.test_serve_crash import metric
from tests.support import otlp
from tests.support.agent_spans import TRACE, a_span, as_json, as_protobuf
from tests.support.gateway_process import KEY, Answer, GatewayProcess, chat_body, minimal, serving, until

PROTOBUF, JSON = "application/x-protobuf", "application/json"
SPANS = [a_span("a" * 16, name="trip"), a_span("b" * 16, "a" * 16, name="ask")]


def send(gateway: GatewayProcess, body: bytes, kind: str = JSON, key: str = KEY, encoding: str = "") -> Answer:
    headers: dict[str, Any] = {"authorization": f"Bearer {key}", "content_type": kind}
    if encoding:
        headers["content_encoding"] = encoding
    return gateway.request("POST", "/v1/traces", body, **headers)


def trace(gateway: GatewayProcess, asked: Asked = Asked()) -> Trace | None:  # noqa: B008
    found = trace_read.read(gateway.state_dir, TRACE, asked)
    return found[0] if found else None


def test_spans_are_kept_in_either_form_with_the_requests_of_their_trace(tmp_path: Path) -> None:
    otlp.require()
    with serving(tmp_path, minimal()) as gateway:
        parent = f"00-{TRACE}-{'b' * 16}-01"
        chat = gateway.request(
            "POST", "/v1/chat/completions", chat_body(), authorization=f"Bearer {KEY}", traceparent=parent
        )
        told = send(gateway, as_json(SPANS[:1]))
        assert (told.status, told.headers["content-type"], told.json) == (200, JSON, {})
        told = send(gateway, gzip.compress(as_protobuf(SPANS[1:])), PROTOBUF, encoding="gzip")
        assert (told.status, told.headers["content-type"], told.body) == (200, PROTOBUF, b"")
        found = trace(gateway)
        assert found is not None
        assert [span.name for span in found.agent] == ["trip", "ask"]
        assert [record.id for record in found.records] == [chat.headers["x-request-id"]]
        keeper = gateway.keeper_pid()
        assert keeper is not None
        os.kill(keeper, signal.SIGHUP)  # a pass, now
        until(lambda: metric(gateway, "lockgate_agent_spans") == 2, "the spans in their table")
        assert metric(gateway, "lockgate_agent_spans_waiting_bytes") == 0
        assert metric(gateway, "lockgate_agent_spans_unreadable") == 0
        # The same is found there.
        assert span_spool.waiting(gateway.state_dir) == []
        assert sum(file.rows for file in manifest.read(gateway.state_dir).spans) == 2
        assert trace(gateway) == found
    kept = [record for record in records(gateway) if record.endpoint == "traces"]
    assert [(one.tenant, one.key, one.status, one.outcome) for one in kept] == [("acme", "app", 200, "answered")] * 2
    assert {span.request for span in found.agent} == {one.id for one in kept}


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"\xff\xff", PROTOBUF, 400, 3),
        (b'{"resourceSpans"', JSON, 400, 3),
        (b"[" * 500_000, JSON, 400, 3),
        (b"{}", "text/plain", 400, 3),
        (as_json([a_span("a" * 16, attributes={"x": "y" * sent.MAX_SPAN_BYTES})]), JSON, 413, 3),
        (gzip.compress(bytes(sent.MAX_BYTES + 1)), JSON, 413, 3),
    ],
)
def test_what_cannot_be_taken_is_told_in_its_own_form_and_nothing_is_stored(
    refusing: GatewayProcess, body: bytes, kind: str, status: int, code: int
) -> None:
    told = send(refusing, body, kind, encoding="gzip" if body[:2] == b"\x1f\x8b" else "")
    assert told.status == status
    if kind == PROTOBUF:
        otlp.require()
        from google.rpc.status_pb2 import Status

        assert (told.headers["content-type"], Status.FromString(told.body).code) == (PROTOBUF, code)
    else:
        assert (told.headers["content-type"], told.json["code"]) == (JSON, code)
    assert span_spool.waiting(refusing.state_dir) == []


def test_who_has_no_key_is_refused_and_another_method_too(refusing: GatewayProcess) -> None:
    assert send(refusing, as_json(SPANS), key="lg-nobody").status == 401
    assert refusing.request("GET", "/v1/traces", authorization=f"Bearer {KEY}").status == 405
    assert span_spool.waiting(refusing.state_dir) == []


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serving(tmp_path_factory.mktemp("refusing"), minimal()) as gateway:
        yield gateway


def test_spans_without_an_identity_are_told_and_the_others_kept(tmp_path: Path) -> None:
    with serving(tmp_path, minimal()) as gateway:
        told = send(gateway, as_json([*SPANS, a_span("0" * 16)]))
        assert (told.status, told.json["partialSuccess"]["rejectedSpans"]) == (200, "1")
        found = trace(gateway)
        assert found is not None
        assert len(found.agent) == 2


def test_what_was_taken_survives_the_death_of_worker_and_keeper(tmp_path: Path) -> None:
    with serving(tmp_path, minimal()) as gateway:
        assert send(gateway, as_json(SPANS)).status == 200
        keeper = gateway.keeper_pid()
        assert keeper is not None
        for pid in (gateway.worker_pids()[0], keeper):
            os.kill(pid, signal.SIGKILL)
        gateway.until_event("keeper_ended")
        until(lambda: gateway.readiness()["ready"], "a worker again")
        assert send(gateway, as_json([a_span("c" * 16, "b" * 16)])).status == 200
        gateway.stop()
        found = trace(gateway)
    assert found is not None
    assert [span.span[0] for span in found.agent] == ["a", "b", "c"]
    assert sum(file.rows for file in manifest.read(gateway.state_dir).spans) == 3


def test_it_counts_as_a_request(tmp_path: Path) -> None:
    digest = minimal()["tenants"]["acme"]["keys"]["app"]["hash"]
    acme = {"models": ["*"], "keys": {"app": {"hash": digest}}, "meters": [{"cap": "2 requests", "window": "day"}]}
    with serving(tmp_path, minimal(tenants={"acme": acme})) as gateway:
        assert [send(gateway, as_json(SPANS)).status for _ in range(2)] == [200, 200]
        told = send(gateway, as_json(SPANS))
        assert (told.status, json.loads(told.body)["code"]) == (429, 8)
