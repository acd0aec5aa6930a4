"""Agents' spans: what one costs from the socket to the table, all processes of the gateway together."""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import signal
import time
from collections.abc import Mapping

from gateway.store import manifest
from tests.bench import lockgate
from tests.bench.lab import Lab
from tests.bench.lockgate import KEEPER_MODULE, Size, Started
from tests.bench.processes import BenchError, cpu_ns, settle, tree
from tests.bench.rows import Measured
from tests.bench.stats import spread

SPANS = 512
"""Of a request: as many as OpenTelemetry's SDKs send at most."""
REQUESTS = 40
"""Of a round."""
STORED_S = 120.0


def measure(lab: Lab) -> Mapping[str, Measured]:
    """Rounds of requests, each until its spans are in the table."""
    config = lockgate.write_config(lab, Size())
    with lockgate.serving(lab, config) as started:
        connection = http.client.HTTPConnection("127.0.0.1", started.target.port, timeout=60)
        with contextlib.closing(connection):
            headers = {"authorization": f"Bearer {config.first_key}", "content-type": "application/x-protobuf"}
            _round(started, connection, headers, 2)  # loads what is loaded on first use
            rates = [_round(started, connection, headers, REQUESTS) for _ in range(lab.effort.rounds)]
    rates.sort()
    raw = {"per_s": spread(rates), "bytes_of_a_span": len(_body(1)), "spans_of_a_request": SPANS}
    return {"agent_spans_per_s": Measured(rates[len(rates) // 2], raw)}


def _round(started: Started, connection: http.client.HTTPConnection, headers: Mapping[str, str], count: int) -> float:
    """Spans a second of one core."""
    bodies = [_body(SPANS) for _ in range(count)]
    before, stored = cpu_ns(tree(started.target.pid)), _stored(started)
    for body in bodies:
        connection.request("POST", "/v1/traces", body, dict(headers))
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise BenchError(f"POST /v1/traces: {answer.status} {text[:200]!r}")
    give_up = time.monotonic() + STORED_S
    while _stored(started) < stored + count * SPANS:
        if time.monotonic() > give_up:
            raise BenchError("the keeper did not store the spans")
        for keeper in started.children(KEEPER_MODULE):
            os.kill(keeper, signal.SIGHUP)  # now, and not within half a minute
        time.sleep(0.5)
    settle(started.target.pid)
    return count * SPANS / ((cpu_ns(tree(started.target.pid)) - before) / 1e9)


def _stored(started: Started) -> int:
    return sum(file.rows for file in manifest.read(started.state_dir).spans)


def _body(spans: int) -> bytes:
    """A request of calls of a model, as OpenInference tells them: 3 KB each, most of it what was said."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    trace, now = secrets.token_bytes(16), time.time_ns()
    texts = {"openinference.span.kind": "LLM", "llm.model_name": "small", "llm.system": "openai", "session.id": "s-1"}
    texts |= {f"llm.input_messages.{at}.message.content": "what was said " * 17 for at in range(10)}
    for number in range(spans):
        span = scope.spans.add(trace_id=trace, span_id=secrets.token_bytes(8), name=f"step {number}", kind=3)
        span.start_time_unix_nano, span.end_time_unix_nano = now, now + 10**9
        for name, text in texts.items():
            span.attributes.add(key=name).value.string_value = text
        for name in ("llm.token_count.prompt", "llm.token_count.completion", "llm.token_count.total"):
            span.attributes.add(key=name).value.int_value = 120
    encoded: bytes = request.SerializeToString()
    return encoded
