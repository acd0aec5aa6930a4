"""gateway.runtime.endpoint_events"""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.backends.base import RULES, Backend, Endpoint, build
from gateway.clock import ManualClock
from gateway.errors import ConnectFailed, UpstreamFailed
from gateway.runtime.endpoint_events import EndpointEvents
from gateway.telemetry.logs import Log


class Story:
    """One backend with one endpoint, and the events that were told of it."""

    def __init__(self, kind: str = "vllm") -> None:
        self.told: list[dict[str, Any]] = []
        self.events = EndpointEvents(Log(ManualClock(), write=lambda line: self.told.append(json.loads(line))))
        self.backend: Backend = build("gpu-a", kind, ["http://h:1"], None, connect_s=1.0, retry_share=0.2)
        (self.endpoint,) = self.backend.endpoints

    def look(self) -> list[tuple[str, str | None]]:
        """Event and reason of what is told now."""
        self.told.clear()
        self.events.look({"gpu-a": self.backend})
        assert all((line["backend"], line["endpoint"]) == ("gpu-a", "http://h:1") for line in self.told)
        return [(line["event"], line.get("reason")) for line in self.told]

    def probe(self, problem: str | None, now: float = 1.0) -> None:
        """As the worker does."""
        self.endpoint.probed(problem is None, now)
        self.events.probed(self.endpoint, problem)


def fail(endpoint: Endpoint, error: UpstreamFailed | ConnectFailed) -> None:
    """As often as it takes for the circuit to open."""
    for _ in range(RULES.failures_in_a_row):
        endpoint.tell(error, 1.0)


def test_an_endpoint_that_does_not_answer_from_the_start_is_told_at_once_and_once() -> None:
    story = Story()
    assert story.look() == []
    story.probe("refused")
    assert story.look() == [("endpoint_out_of_service", "refused")]
    for _ in range(RULES.failures_in_a_row):  # its circuit opens, which changes nothing that was said
        story.probe("refused")
        assert story.look() == []
    story.probe(None)
    assert story.look() == [("endpoint_back_in_service", None)]
    assert story.look() == []


def test_an_endpoint_that_answered_once_is_out_only_when_its_circuit_opens() -> None:
    story = Story()
    story.probe(None)
    story.probe("refused")
    assert story.look() == []
    for _ in range(RULES.failures_in_a_row - 1):
        story.probe("refused")
    assert story.look() == [("endpoint_out_of_service", "refused")]


def test_requests_that_go_well_speak_louder_than_a_first_probe() -> None:
    story = Story()
    story.probe("its health path answered 404")
    assert story.look() == [("endpoint_out_of_service", "its health path answered 404")]
    story.endpoint.tell(None, 1.0)
    assert story.look() == [("endpoint_back_in_service", None)]
    story.probe("its health path answered 404")
    assert story.look() == []


@pytest.mark.parametrize("error", [UpstreamFailed("x"), ConnectFailed("x")])
def test_an_endpoint_that_fails_requests_is_back_when_one_goes_well(error: UpstreamFailed | ConnectFailed) -> None:
    story = Story()
    fail(story.endpoint, error)
    reason = "requests to it fail" if isinstance(error, UpstreamFailed) else "no connection could be made"
    assert story.look() == [("endpoint_out_of_service", reason)]
    story.endpoint.admitted(100.0)
    assert story.look() == []
    story.endpoint.tell(None, 100.0)
    assert story.look() == [("endpoint_back_in_service", None)]


def test_a_probe_that_is_answered_does_not_excuse_requests_that_fail() -> None:
    story = Story()
    fail(story.endpoint, UpstreamFailed("x"))
    story.look()
    story.probe(None)
    assert story.look() == []


def test_a_server_beside_us_may_take_its_time_to_start() -> None:
    story = Story("embedded")
    story.probe("refused")
    assert story.look() == []
    fail(story.endpoint, ConnectFailed("x"))
    assert story.look() == [("endpoint_out_of_service", "refused")]


def test_an_endpoint_that_is_no_longer_configured_is_forgotten() -> None:
    story = Story()
    story.probe("refused")
    story.look()
    story.events.look({})
    assert story.events.new(story.endpoint)
