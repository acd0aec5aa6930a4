"""Spans of a load in which everything happens: retries, fallbacks, 5xx, callers that leave, answers that are cut or
blocked half way, checks that ask, a worker that is killed."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.store import record_spans
from gateway.store.record_query import Query
from gateway.store.record_read import records
from gateway.store.record_spans import Known
from gateway.telemetry import genai
from tests.integration.test_exporter import PARENT, as_sent, begun
from tests.support.gateway_process import GatewayProcess, chat_body, serving, until
from tests.support.mixed_load import KEYS, configuration, drive, upstreams
from tests.support.otlp import Received, receiving

REQUESTS = 80
KNOWN = Known(
    dict.fromkeys(("fleet", "single", "half"), "vllm"),
    {("m", "fleet"): "served", ("small", "fleet"): "tiny", ("fails", "single"): "frail", ("dead", "half"): "dead"},
)
FORBIDS = {"check": "keywords", "words": ["plutonium"], "code": "arms", "action": "block"}
JUDGES = {"check": "injection", "phase": "input", "action": "block"}
BLOCKED = ("say plutonium to me", "a long story that says plutonium")
"""Of requests and, told by the backend, of answers: half way through."""


def checked(found: dict[str, Any]) -> dict[str, Any]:
    """Its chain asks the check process, and reads answers too; another tenant's is only of answers."""
    hides = found["chains"]["c"][0]
    chains = {"c": [hides, {**FORBIDS, "phase": ["input", "output"]}, JUDGES], "out": [{**FORBIDS, "phase": "output"}]}
    tenants = {**found["tenants"], "booked": {**found["tenants"]["booked"], "chain": "out"}}
    return {**found, "chains": chains, "tenants": tenants}


def headers(tenant: str) -> dict[str, str]:
    project = {"x-lockgate-project": "q"} if tenant == "booked" else {}
    return {"authorization": f"Bearer {KEYS[tenant]}", "traceparent": PARENT, **project}


def ask(gateway: GatewayProcess, tenant: str, text: str, **more: Any) -> int:
    with contextlib.closing(gateway.connect()) as connection:
        connection.request("POST", "/v1/chat/completions", chat_body(text, "m", **more), headers(tenant))
        answer = connection.getresponse()
        answer.read()
        return answer.status


def leave(gateway: GatewayProcess) -> None:
    """Its caller goes after the first bytes of an answer."""
    with contextlib.closing(gateway.connect()) as connection:
        connection.request("POST", "/v1/chat/completions", chat_body("slow", "m", stream=True), headers("rich"))
        assert connection.getresponse().read(1)


def asked(gateway: GatewayProcess) -> set[str]:
    return {record.id for record in records(gateway.state_dir, Query())}


def told(spans: list[Received]) -> set[object]:
    """The requests of which spans came."""
    return {span.attributes[genai.REQUEST_ID] for span in spans if span.kind == "server"}


def wrong_types(attributes: Mapping[str, Any]) -> list[str]:
    """A bool is no number here."""
    return [name for name, value in attributes.items() if type(value) is not genai.TYPES[name]]


@pytest.mark.timeout(300)
def test_every_span_that_begins_ends_once_whatever_becomes_of_its_request(tmp_path: Path) -> None:
    with receiving("http") as receiver, upstreams(tmp_path) as urls:
        found = {**checked(configuration(urls)), "telemetry": {"otlp": {"endpoint": receiver.url}}}
        with serving(tmp_path, found) as gateway:
            begun(gateway)
            for stream in (False, True):
                for text in BLOCKED:
                    assert ask(gateway, "booked", text, stream=stream) == 200
                    assert ask(gateway, "masked", text, stream=stream) == 400
                assert ask(gateway, "masked", "mail joe@example.org", stream=stream) == 200
            assert ask(gateway, "rich", "snaps", stream=True) == 200
            leave(gateway)
            asyncio.run(drive(gateway, REQUESTS))
            until(lambda: told(receiver.spans) >= asked(gateway), "spans of every request", 120.0)
            gateway.stop()
        kept = list(records(tmp_path / "state", Query()))

    assert {record.outcome for record in kept} == {"answered", "refused", "cancelled", "crashed", "failed"}
    assert max(len(record.attempts) for record in kept) > 1
    made = [span for record in kept for span in record_spans.spans(record, KNOWN)]
    resource = receiver.spans[0].resource
    came = {str(span): span for span in receiver.spans}  # one that was sent again is the same
    assert sorted(came) == sorted(str(as_sent(span, resource)) for span in made)
    ids = Counter(span.span_id for span in came.values())
    assert [each for each, count in ids.items() if count > 1] == []
    parents = {span.parent_id for span in came.values() if span.parent_id} - {PARENT[36:52]}
    assert parents <= set(ids)
    assert all(span.start_ns <= span.end_ns for span in came.values())
    assert {span.name for span in came.values()} >= {"check request", "check answer", "check injection", "chat served"}
    events = [attributes for span in came.values() for _, _, attributes in span.events]
    assert events
    assert [
        wrong_types(each) for each in (*events, *(span.attributes for span in came.values())) if wrong_types(each)
    ] == []
