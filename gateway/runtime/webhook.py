"""Posts warnings of meters to `telemetry.webhook`: one JSON object each, in order, tried a few times. A receiver that
is slow or away keeps nothing else waiting, and never makes the queue grow."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable
from typing import Final

import msgspec

from gateway.config.units_money import QUANTITIES
from gateway.runtime.control_channel import Crossed
from gateway.telemetry.logs import Log

TIMEOUT_S: Final = 5.0
MOST_WAITING: Final = 1_000
"""Warnings kept for a receiver that is away; later ones are only logged."""
TRIES_AFTER_S: Final = (0.0, 1.0, 5.0, 20.0)
"""When a warning is sent, and sent again after it failed."""

Post = Callable[[str, bytes], None]
"""(URL, JSON) -> None. Raises OSError."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What is posted, and logged."""

    time: str
    event: str = "meter_crossed"
    bucket: str
    quantity: str
    """requests, input_tokens, output_tokens, concurrent or usd."""
    share: str
    """Of the cap: `80%`."""
    used: str
    """At least so much; dollars as a decimal number."""
    cap: str


def notice(crossed: Crossed, time: str) -> Notice:
    """What is said of a share that was reached."""
    quantity = QUANTITIES[crossed.quantity]
    return Notice(
        time=time,
        bucket=crossed.bucket,
        quantity=quantity,
        share=f"{crossed.permille / 10:g}%",
        used=_amount(quantity, crossed.amount),
        cap=_amount(quantity, crossed.cap),
    )


def _amount(quantity: str, value: int) -> str:
    if quantity != "usd":
        return str(value)
    return f"{value // 10**9}.{value % 10**9:09d}"


class Webhook:
    """`send` queues; the rest happens by itself. Belongs to one event loop."""

    def __init__(self, log: Log, post: Post | None = None) -> None:
        self._log = log
        self._post = post or post_json
        self._waiting: asyncio.Queue[tuple[str, Notice]] = asyncio.Queue(MOST_WAITING)

    def send(self, url: str, notice: Notice) -> None:
        """Posts `notice` to `url` soon."""
        try:
            self._waiting.put_nowait((url, notice))
        except asyncio.QueueFull:
            self._log.error("webhook_dropped", bucket=notice.bucket)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._deliver(*await self._waiting.get())

    async def _deliver(self, url: str, notice: Notice) -> None:
        problem = ""
        for wait_s in TRIES_AFTER_S:
            await asyncio.sleep(wait_s)
            try:
                await asyncio.to_thread(self._post, url, msgspec.json.encode(notice))
            except (OSError, ValueError) as error:
                problem = str(error)
            else:
                return
        self._log.error("webhook_failed", bucket=notice.bucket, error=problem)


def post_json(url: str, body: bytes) -> None:
    """One POST; any status below 400 is well. Raises OSError."""
    request = urllib.request.Request(url, body, {"content-type": "application/json", "user-agent": "lockgate"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):
        pass
