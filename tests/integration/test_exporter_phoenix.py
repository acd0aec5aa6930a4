"""Spans of a running gateway, as Arize Phoenix understands them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_exporter import PARENT, ask, begun, records
from tests.support import otlp, phoenix
from tests.support.gateway_process import minimal, serving, until
from tests.support.screening import HIDES

pytestmark = [pytest.mark.phoenix, pytest.mark.timeout(600)]


def test_phoenix_shows_the_tree_of_each_request_over_either_protocol(tmp_path: Path) -> None:
    otlp.require()
    with phoenix.serving(tmp_path / "phoenix") as receiver:
        for protocol, endpoint in receiver.endpoints.items():
            section = {"endpoint": endpoint, "protocol": protocol}
            found = minimal(telemetry={"otlp": section}, chains={"c": [HIDES]})
            found["tenants"]["acme"]["chain"] = "c"
            before = len(receiver.spans())
            with serving(tmp_path / protocol, found) as gateway:
                begun(gateway)
                assert ask(gateway, traceparent=PARENT) == 200
                assert ask(gateway, model="nowhere") == 404
                until(lambda first=before: len(receiver.spans()) == first + 5, f"spans over {protocol}")  # type: ignore[misc]
                answered, _refused = records(gateway)
            by_id = {span["context"]["span_id"]: span for span in receiver.spans()}
            (server,) = [each for each in by_id.values() if of(each, "request.id") == answered.id]
            assert (server["name"], server["span_kind"]) == ("POST /v1/chat/completions", "UNKNOWN")
            below = [each for each in by_id.values() if each["parent_id"] == server["context"]["span_id"]]
            assert {each["name"] for each in below} == {"check request", "chat small", "check answer"}
            (attempt,) = [each for each in below if each["name"] == "chat small"]
            assert attempt["context"]["trace_id"] == server["context"]["trace_id"] == PARENT[3:35]
            assert attempt["attributes"]["gen_ai.usage.input_tokens"] == answered.input_tokens
            assert attempt["attributes"]["gen_ai.provider.name"] == "fake"


def of(span: dict[str, Any], name: str) -> object:
    """One of our own attributes."""
    return span["attributes"].get(f"lockgate.{name}")
