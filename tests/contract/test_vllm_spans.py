"""vLLM's own spans stand in the trace of the request, below the attempt that it was asked in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contract import kinds
from tests.contract.upstreams import Servers
from tests.support import otlp, vllm
from tests.support.gateway_process import KEY, chat_body, minimal, serving, until

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("kind", [kinds.of("vllm")])
@pytest.mark.parametrize("traceparent", ["", PARENT])
def test_vllms_span_is_below_the_attempt(servers: Servers, kind: str, tmp_path: Path, traceparent: str) -> None:
    kinds.require(kind)
    otlp.require()
    upstream = servers.pair(kind).upstream
    theirs = upstream.spans
    assert theirs is not None
    headers: dict[str, Any] = {"traceparent": traceparent} if traceparent else {}
    with otlp.receiving("http") as ours:
        configuration: dict[str, Any] = minimal(
            backends={"upstream": upstream.backend},
            models={"small": {"backend": "upstream", "served_model": vllm.MODEL}},
            telemetry={"otlp": {"endpoint": ours.url}},
        )
        with serving(tmp_path, configuration, environment=upstream.environment) as gateway:
            until((gateway.state_dir / "exporter.json").exists, "the exporter to begin")
            body = chat_body(max_tokens=5)
            asked = gateway.request("POST", "/v1/chat/completions", body, authorization=f"Bearer {KEY}", **headers)
            assert asked.status == 200
            until(lambda: len(ours.spans) == 2, "the gateway's spans")
    server, attempt = sorted(ours.spans, key=lambda span: span.kind, reverse=True)
    assert (server.parent_id, attempt.parent_id) == (traceparent[36:52], server.span_id)
    (span,) = until(
        lambda: [each for each in theirs.spans if each.parent_id == attempt.span_id], "the span of vLLM", 120.0
    )
    assert (span.trace_id, span.kind) == (attempt.trace_id, "server")
    assert span.attributes["gen_ai.usage.completion_tokens"] == attempt.attributes["gen_ai.usage.output_tokens"]
