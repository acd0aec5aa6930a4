"""gateway.runtime.ops"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.runtime import ops


class Standing:
    """A supervisor's answers, as the test sets them."""

    def __init__(self, ready: bool = True) -> None:
        self.ready = ready

    def metrics(self, accept: str) -> tuple[str, bytes]:
        return f"text/plain; for={accept}", b"lockgate_worker_up 1\n"

    def readiness(self) -> ops.Readiness:
        return ops.Readiness(self.ready, False, "d", {"0": "ready"}, [], False)

    def loop_lag_ms(self) -> dict[str, float | None]:
        return {"supervisor": 0.5, "worker-0": None}


def ask(status: ops.Status, method: str, path: str) -> tuple[int, dict[bytes, bytes], bytes]:
    """One request to the app."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def asked() -> None:
        await ops.app(status)(
            {"type": "http", "method": method, "path": path, "headers": [(b"accept", b"a/b")]}, receive, send
        )

    asyncio.run(asked())
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"]


def test_metrics_are_in_the_format_the_scraper_asks_for() -> None:
    status, headers, body = ask(Standing(), "GET", "/metrics")
    assert (status, body) == (200, b"lockgate_worker_up 1\n")
    assert headers[b"content-type"] == b"text/plain; for=a/b"


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
def test_readiness_is_a_status_and_says_why(ready: bool, status: int) -> None:
    found, _, body = ask(Standing(ready), "GET", "/readyz")
    assert found == status
    assert json.loads(body)["workers"] == {"0": "ready"}


def test_health_does_not_depend_on_readiness() -> None:
    assert ask(Standing(ready=False), "GET", "/healthz")[0] == 200


def test_loop_lag_is_told_by_process() -> None:
    body = ask(Standing(), "GET", "/debug/loop")[2]
    assert json.loads(body) == {"loop_lag_ms": {"supervisor": 0.5, "worker-0": None}}


def test_an_unknown_path_lists_the_known_ones() -> None:
    status, _, body = ask(Standing(), "GET", "/")
    assert status == 404
    assert "/metrics" in json.loads(body)["paths"]


def test_only_reading_is_answered() -> None:
    status, headers, _ = ask(Standing(), "POST", "/metrics")
    assert (status, headers[b"allow"]) == (405, b"GET, HEAD")
