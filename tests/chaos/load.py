"""The callers: a process of its own that asks the gateway as planned, leaves when it likes, and notes what it got.

`python -m tests.chaos.load PLAN.json OUT`; written for many connections at little CPU, not for completeness of HTTP.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
import uvloop

from gateway.clock import within
from tests.chaos.plan import WORD, Group, secret

PATIENCE_S = 30.0
"""No answer takes longer, whatever fails meanwhile."""
TOKEN = WORD.encode()

Ended = Literal["answered", "left", "broken", "unanswered"]


class LoadPlan(msgspec.Struct):
    """What this process is told."""

    port: int
    groups: list[Group]
    per_second: float
    seed: int
    out: str


class Call(msgspec.Struct, array_like=True):
    """One request as its caller saw it; times are CLOCK_MONOTONIC, which all processes of the machine share."""

    tenant: str
    key: int
    user: str
    model: str
    stream: bool
    max_tokens: int | None
    kind: str
    began_s: float
    body_bytes: int = 0
    id: str = ""
    status: int = 0
    code: str = ""
    delivered: int = 0  # tokens of the answer
    cut: bool = False  # by the gateway, for want of money or tokens
    ended: Ended = "unanswered"
    ended_s: float = 0.0


class Pace:
    """Lets requests begin at a rate, in the order they ask."""

    def __init__(self, per_second: float) -> None:
        self._every_s = 1 / per_second
        self._next_s = time.monotonic()
        self.until_s = float("inf")

    def stop(self) -> None:
        """No request begins any more."""
        self.until_s = time.monotonic()

    async def turn(self) -> None:
        now = time.monotonic()
        self._next_s = max(self._next_s + self._every_s, now - 0.1)
        await asyncio.sleep(max(0.0, self._next_s - now))


class Shared:
    """What callers of one group know of each other: which key is worth trying."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.key = 0

    def spent(self, key: int) -> None:
        if key == self.key and self.key + 1 < self.group.keys:
            self.key += 1


class Caller:
    """One caller with its connection."""

    def __init__(self, plan: LoadPlan, shared: Shared, number: int, pace: Pace, calls: list[Call]) -> None:
        self.plan = plan
        self.shared = shared
        self.random = random.Random(f"{plan.seed}/{shared.group.tenant}/{number}")
        self.pace = pace
        self.calls = calls
        self.number = number
        self.user_number = 0
        self.key = number % shared.group.keys
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Asks until it is time; never raises for what the gateway does."""
        await asyncio.sleep(self.random.random() * 2)
        while time.monotonic() < self.pace.until_s:
            await self.pace.turn()
            if time.monotonic() >= self.pace.until_s:
                return
            call, head, body = self._request()
            self.calls.append(call)
            leaves_s = self.random.random() ** 2 * 3 if self.random.random() < self.shared.group.cancels else None
            timer = None
            try:
                if leaves_s is not None:
                    timer = asyncio.get_running_loop().call_later(leaves_s, self._leave, call)
                await within(self._ask(call, head, body), PATIENCE_S)
            except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError, asyncio.LimitOverrunError):
                if call.ended == "unanswered" and call.status:
                    call.ended = "broken"
                self._drop()
            finally:
                if timer is not None:
                    timer.cancel()
            call.ended_s = time.monotonic()
            await self._think(call)

    def _request(self) -> tuple[Call, bytes, bytes]:
        group, chance = self.shared.group, self.random
        stream = chance.random() < group.streams
        kind = chance.choices(["quick", "slow", "silent", "absurd"], [60, 30, 5, 5])[0]
        limit = None if chance.random() < group.unlimited else chance.randint(1, group.longest)
        key = self.shared.key if group.in_turn else self.key
        user = f"u-{self.number}-{self.user_number}" if group.fresh_users else f"u-{self.number % 16}"
        model = "chat" if chance.random() < 0.8 else "mini"
        text = kind + " " + "x" * chance.randint(0, 300)
        fields: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": text}], "user": user}
        if limit is not None:
            fields["max_tokens"] = limit
        if stream:
            fields["stream"] = True
            if chance.random() < 0.5:
                fields["stream_options"] = {"include_usage": True}
        body = msgspec.json.encode(fields)
        close = b"connection: close\r\n" if chance.random() < 0.2 else b""
        head = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer %b\r\n%bcontent-length: %d\r\n\r\n"
            % (secret(group.tenant, key).encode(), close, len(body))
        )
        call = Call(group.tenant, key, user, model, stream, limit, kind, time.monotonic(), len(body))
        return call, head, body

    async def _ask(self, call: Call, head: bytes, body: bytes) -> None:
        if self.writer is None or self.writer.is_closing():
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.plan.port, limit=2**18)
        assert self.reader is not None
        if call.ended == "left":
            raise ConnectionAbortedError
        self.writer.write(head + body)
        await self.writer.drain()
        answer = await self.reader.readuntil(b"\r\n\r\n")
        call.status = int(answer[9:12])
        lines = answer.lower().split(b"\r\n")
        length: int | None = None
        for line in lines:
            if line.startswith(b"x-request-id:"):
                call.id = line[13:].strip().decode("latin-1")
            elif line.startswith(b"content-length:"):
                length = int(line[15:])
        if length is not None:
            self._take(call, await self.reader.readexactly(length))
        else:
            await self._stream(call, self.reader)
        call.ended = "answered"
        if b"connection: close" in lines:
            self._drop()

    def _take(self, call: Call, content: bytes) -> None:
        if call.status == 200:
            call.delivered = content.count(TOKEN)
            return
        with suppress(msgspec.DecodeError):
            error = msgspec.json.decode(content).get("error", {})
            call.code = str(error.get("code"))

    async def _stream(self, call: Call, reader: asyncio.StreamReader) -> None:
        done = failed = False
        before = b""
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            part = before + (await reader.readexactly(size + 2))[:-2]
            if not size:
                break
            call.delivered += part.count(TOKEN)
            call.cut = call.cut or b'"cut":' in part
            failed = failed or b'"error":' in part
            done = done or b"[DONE]" in part
            end = max(part.rfind(TOKEN) + len(TOKEN) if TOKEN in part else 0, len(part) - len(TOKEN) + 1)
            before = part[end:]  # what may be the beginning of a token that the next chunk ends
        if failed or not done:
            raise ValueError("the stream broke")

    def _leave(self, call: Call) -> None:
        call.ended = "left"
        if self.writer is not None:
            self.writer.transport.abort()

    def _drop(self) -> None:
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def _think(self, call: Call) -> None:
        group, chance = self.shared.group, self.random
        if call.code == "insufficient_quota":
            if group.in_turn:
                self.shared.spent(call.key)
            if group.fresh_users:
                self.user_number += 1
            await asyncio.sleep(0.2 + chance.random())
        elif call.status in (0, 429, 503):
            await asyncio.sleep(0.2 + chance.random())
        else:
            await asyncio.sleep(chance.expovariate(4.0))


async def run(plan: LoadPlan) -> list[Call]:
    """All calls of a plan, when the last has ended: SIGTERM ends it, once "up" was written to stdout."""
    calls: list[Call] = []
    pace = Pace(plan.per_second)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, pace.stop)
    print("up", flush=True)
    callers = []
    for group in plan.groups:
        shared = Shared(group)
        callers += [Caller(plan, shared, number, pace, calls) for number in range(group.callers)]
    await asyncio.gather(*(caller.run() for caller in callers))
    for caller in callers:
        caller._drop()
    return calls


def main() -> None:
    plan = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=LoadPlan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        calls = runner.run(run(plan))
    Path(plan.out).write_bytes(msgspec.msgpack.encode(calls))


if __name__ == "__main__":
    main()
