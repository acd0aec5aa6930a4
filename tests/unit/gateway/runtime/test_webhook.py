from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from gateway.clock import SystemClock, within
from gateway.config.snapshot_meters import MONEY, REQUESTS
from gateway.runtime import webhook
from gateway.runtime.control_channel import Crossed
from gateway.runtime.webhook import Webhook, notice, post_json
from gateway.telemetry.logs import Log
from tests.support.running import until

MONEY_CROSSED = Crossed("tenant:acme|usd|month@UTC|2026-11", MONEY, 800, 400_000_000_001, 500 * 10**9)


def logged() -> tuple[Log, list[dict[str, Any]]]:
    lines: list[dict[str, Any]] = []
    return Log(SystemClock(), write=lambda line: lines.append(json.loads(line))), lines


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(within(scene(), 60))


def test_a_notice_says_which_meter_and_how_much_of_it_is_used() -> None:
    assert msgspec.to_builtins(notice(MONEY_CROSSED, "2026-11-22T00:00:00.000Z")) == {
        "time": "2026-11-22T00:00:00.000Z",
        "event": "meter_crossed",
        "bucket": "tenant:acme|usd|month@UTC|2026-11",
        "quantity": "usd",
        "share": "80%",
        "used": "400.000000001",
        "cap": "500.000000000",
    }
    said = notice(Crossed("key:acme/app|requests|60s|", REQUESTS, 955, 573, 600), "")
    assert (said.share, said.used, said.cap) == ("95.5%", "573", "600")


def test_notices_are_posted_in_order_and_again_when_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TRIES_AFTER_S", (0.0, 0.0, 0.0))
    posted: list[str] = []

    async def scene() -> None:
        fails = [OSError("away"), OSError("away")]
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def post(url: str, body: bytes) -> None:
            if fails:
                raise fails.pop()
            posted.append(json.loads(body)["bucket"])
            if len(posted) == 2:
                loop.call_soon_threadsafe(done.set)

        log, lines = logged()
        hook = Webhook(log, post)
        for name in ("a", "b"):
            hook.send("https://hooks/x", notice(Crossed(name, REQUESTS, 800, 8, 10), ""))
        running = asyncio.ensure_future(hook.run())
        await done.wait()
        running.cancel()
        assert lines == []

    run(scene)
    assert posted == ["a", "b"]


def test_a_receiver_that_is_away_is_told_without_its_address_and_the_queue_does_not_grow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook, "TRIES_AFTER_S", (0.0, 0.0))
    monkeypatch.setattr(webhook, "MOST_WAITING", 2)

    async def scene() -> None:
        def post(url: str, body: bytes) -> None:
            raise OSError("away")

        log, lines = logged()
        hook = Webhook(log, post)
        for name in ("a", "b", "c"):
            hook.send("https://hooks/secret", notice(Crossed(name, REQUESTS, 800, 8, 10), ""))
        assert [(line["event"], line["bucket"]) for line in lines] == [("webhook_dropped", "c")]
        running = asyncio.ensure_future(hook.run())
        await until(lambda: len(lines) == 3, "both are given up")
        running.cancel()
        assert [(line["event"], line["bucket"], line["error"]) for line in lines[1:]] == [
            ("webhook_failed", "a", "away"),
            ("webhook_failed", "b", "away"),
        ]
        assert "secret" not in str(lines)

    run(scene)


def test_it_is_a_post_of_json_and_an_error_status_is_a_failure() -> None:
    seen: list[tuple[str, str, bytes]] = []
    statuses = [204, 500]

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.path, self.headers["content-type"], body))
            self.send_response(statuses.pop(0))
            self.end_headers()

        def log_message(self, *arguments: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/hook"
        post_json(url, b"{}")
        with pytest.raises(OSError, match="500"):
            post_json(url, b"{}")
        server.shutdown()
        thread.join()
    assert seen[0] == ("/hook", "application/json", b"{}")
