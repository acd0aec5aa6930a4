"""A call that is cancelled at any of its waits leaves nothing held, and one record that says what it was charged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.dataplane import lifecycle
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.stepping import Stepper
from gateway.policy.identity import Headers
from tests.support.gateway import KEY, Meters
from tests.support.metered import Metered, metering, usd
from tests.support.running import run, until
from tests.support.server_process import ServerProcess, serving

SCRIPT = """
rules:
  - {match: "long", answer: word, tokens: 200, tokens_per_s: 4000}
  - {match: "short", answer: "one two three", delay_ms: 20}
"""
MOST_WAITS = 60


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    script = tmp_path_factory.mktemp("fake") / "script.yaml"
    script.write_text(SCRIPT)
    with serving("gateway.backends.fake", "--script", str(script)) as server:
        yield server


class Wire:
    """A caller's connection that hears everything and says nothing."""

    date_line = b"date: now\r\n"

    def __init__(self) -> None:
        self.heard = b""

    def write(self, data: bytes) -> None:
        self.heard += data

    def answered(self, exchange: Exchange) -> None:
        """It is over."""

    def wants_body(self, exchange: Exchange) -> None:
        """It is there."""


class Counted:
    """A handler's coroutine that is cancelled when it waits for the nth time, as a caller who leaves then does."""

    def __init__(self, coroutine: Any, exchange: Exchange, nth: int) -> None:
        self._steps = coroutine.__await__()
        self._exchange = exchange
        self._left = nth
        self.stepper: Stepper | None = None

    def __await__(self) -> Counted:
        return self

    def __next__(self) -> Any:
        return self._waits(next(self._steps))

    def throw(self, error: BaseException) -> Any:
        return self._waits(self._steps.throw(error))

    def _waits(self, waiting: Any) -> Any:
        self._left -= 1
        if self._left < 0 and not self._exchange.gone:
            self._exchange.gone = True
            assert self.stepper is not None
            asyncio.get_running_loop().call_soon(self.stepper.cancel)
        return waiting


async def cancelled_at(gateway: Metered, nth: int, body: dict[str, Any], path: bytes) -> bool:
    """One call, cancelled at its nth wait; False when it had ended by then."""
    exchange = Exchange(Wire(), gateway.running.gw.clock.monotonic_s())
    exchange.method, exchange.target, exchange.max_body = b"POST", path, 10**6
    headers = Headers()
    headers[b"authorization"] = b"Bearer " + KEY.encode()
    exchange.headers = headers
    exchange.receive(json.dumps(body).encode())
    exchange.received()
    before = len(gateway.running.records())
    counted = Counted(lifecycle.run(gateway.running.gw, exchange), exchange, nth)
    stepper = counted.stepper = Stepper(counted, asyncio.get_running_loop())  # type: ignore[arg-type]
    stepper.start()
    await until(lambda: stepper.ended, "the call ends")
    (record,) = gateway.running.records()[before:]
    assert gateway.held() == {}, (nth, record)
    assert record.outcome == ("cancelled" if exchange.gone else "answered"), record
    assert record.charge_nanos is not None or not record.usage_from
    return exchange.gone


@pytest.mark.parametrize(
    "asked",
    [
        {"content": "short", "max_tokens": 50},
        {"content": "short"},
        {"content": "long", "stream": True},
        {"content": "long", "stream": True, "max_tokens": 150},
        {"content": "long", "stream": True, "n": 2, "max_tokens": 20},
    ],
    ids=str,
)
@pytest.mark.parametrize("budget", [10**12, 900_000])
def test_a_call_cancelled_at_any_wait_leaves_nothing_held(
    fake: ServerProcess, tmp_path: Path, asked: dict[str, Any], budget: int
) -> None:
    content, fields = asked["content"], {name: value for name, value in asked.items() if name != "content"}
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
    meters: Meters = {
        "acme": [usd(budget, at={"500": "clamp"}), {"cap": "3 concurrent"}],
        "acme/app": [{"cap": "1000000 output_tokens", "window": "60s"}],
    }

    async def main() -> None:
        for nth in range(MOST_WAITS):
            async with metering(fake, tmp_path / str(nth), meters) as gateway:  # each time nothing is leased yet
                if not await cancelled_at(gateway, nth, body, b"/v1/chat/completions"):
                    assert nth > 2
                    return
                spent = sum(record.charge_nanos or 0 for record in gateway.running.records())
                assert gateway.leases.buckets["tenant:acme|usd|lifetime|"].total == spent <= budget
                answer = await gateway.ask("short", max_tokens=1)
                assert answer.status_code == 200 or spent > budget // 2
        raise AssertionError("it never came to its end")

    run(main())
