"""A worker's side of the check process: asks, and is told the answer or in time that there is none.

One connection, made when something is asked and made again when it was lost. What was asked over a connection that is
lost fails. What is asked next waits a moment for a process that is being started; when none comes, questions fail at
once: what a failure means the chain says, and callers are not kept waiting for a process that is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from gateway.offload import frames
from gateway.offload.frames import LATE, UNAVAILABLE, Broken, Frames, Question, framed, packed
from gateway.offload.tally import Tally
from guardrails.check import Need

DEADLINE_S: Final = 1.0
"""Of a question whose check names none …"""
BYTES_PER_S: Final = 20_000
"""… and a second more for so many bytes that this worker had open, those of the question among them, and for so many of
its own that were answered before it: shorter ones are. A core scores seven times as many in that time of the texts that
are most work, from source; but other workers ask too, and the process gives way to them all …"""
MOST_DEADLINE_S: Final = 60.0
"""… but no more than this."""

MOST_OPEN: Final = 1_000
"""Questions at a time; more fail at once."""
MOST_UNSENT: Final = 32 << 20
"""Bytes the process has not taken yet; with more, questions fail at once."""

PATIENCE_S: Final = 2.0
"""How long a process may be away until questions fail at once."""
RETRY_S: Final = 0.05

Done = Callable[[object | None, str], None]
"""(value, failure): what came, or `late` or `unavailable`; "" where there is a value."""


class _Open:
    """A question that waits for its answer."""

    __slots__ = ("asked_s", "bytes_before", "done", "kind", "size", "timer")

    def __init__(
        self, kind: str, size: int, bytes_before: int, done: Done, asked_s: float, timer: asyncio.TimerHandle
    ) -> None:
        self.kind = kind
        self.size = size
        self.bytes_before = bytes_before
        """What the worker was answered before it was asked, less what was open then."""
        self.done = done
        self.asked_s = asked_s
        self.timer = timer


class CheckClient:
    """Belongs to the event loop it is made in. `socket`: where the check process listens."""

    def __init__(self, socket: Path) -> None:
        self.tally: Final = Tally()
        self._path = str(socket)
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, _Open] = {}
        self._open_bytes = 0
        self._answered_bytes = 0
        self._count = 0
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._away_s: float | None = None
        """Since when no connection can be made; None: one could be."""

    def ask(self, need: Need, deadline_ms: int | None, done: Done) -> None:
        """Asks; `done` is called once, by the loop, never before this returns. Raises nothing. `deadline_ms` None: as
        long as a process that works may need for all that is open, so that none of many long texts is late only
        because they came at once."""
        self.tally.asked(need.kind)
        if not self._has_room():
            self._refuse(need.kind, done)
            return
        text = packed(need.text)
        if len(text) > frames.LONGEST_TEXT:
            self._refuse(need.kind, done)
            return
        number = self._count = self._count + 1
        self._open_bytes += len(text)
        before = self._answered_bytes - self._open_bytes
        now = self._loop.time()
        if deadline_ms is None:
            left_s = MOST_DEADLINE_S
            timer = self._loop.call_later(DEADLINE_S, self._look, number)
        else:
            left_s = deadline_ms / 1_000
            timer = self._loop.call_later(left_s, self._end, number, None, LATE)
        self._open[number] = _Open(need.kind, len(text), before, done, now, timer)
        self._send(framed(Question(number, need.kind, need.name, text, now + left_s)))

    def close(self) -> None:
        """Fails what is open, and ends the connection. A later question makes a new one."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._transport is not None:
            self._transport.abort()
        self._lost()

    def _has_room(self) -> bool:
        unsent = self._unsent_bytes if self._transport is None else self._transport.get_write_buffer_size()
        return len(self._open) < MOST_OPEN and unsent < MOST_UNSENT

    def _late_s(self, question: _Open) -> float:
        """When a question is late that named no deadline, as far as is known now."""
        work = self._answered_bytes - question.bytes_before
        return question.asked_s + min(DEADLINE_S + work / BYTES_PER_S, MOST_DEADLINE_S)

    def _look(self, number: int) -> None:
        """Whether it is late."""
        question = self._open.get(number)
        if question is None:
            return
        left_s = self._late_s(question) - self._loop.time()
        if left_s > 0:
            question.timer = self._loop.call_later(left_s, self._look, number)
        else:
            self._end(number, None, LATE)

    def _refuse(self, kind: str, done: Done) -> None:
        self.tally.failed(kind, UNAVAILABLE)
        self._loop.call_soon(done, None, UNAVAILABLE)

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
            return
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        while True:
            try:
                await self._loop.create_unix_connection(lambda: _Connection(self), self._path)
                return
            except OSError:
                self._away_s = self._away_s or self._loop.time()
            if self._loop.time() - self._away_s >= PATIENCE_S:
                break
            await asyncio.sleep(RETRY_S)
        self._connecting = None
        self._lost()

    def _end(self, number: int, value: object | None, failure: str) -> None:
        """Ends a question, unless it has ended."""
        question = self._open.pop(number, None)
        if question is None:
            return
        question.timer.cancel()
        self._open_bytes -= question.size
        if failure:
            self.tally.failed(question.kind, failure)
        else:
            self._answered_bytes += question.size
            self.tally.answered(question.kind, self._loop.time() - question.asked_s)
        self._loop.call_soon(question.done, value, failure)  # what it raises is its own affair

    # -- of the connection ---------------------------------------------------------------------------------------------

    def connected(self, transport: asyncio.Transport) -> None:
        """It is there: what was asked meanwhile is sent."""
        self._connecting = self._away_s = None
        self._transport = transport
        unsent, self._unsent, self._unsent_bytes = self._unsent, [], 0
        transport.writelines(unsent)

    def came(self, frame: bytes) -> None:
        """An answer. Raises `Broken`."""
        answer = frames.answer(frame)
        failure = answer.failure if answer.failure in ("", LATE) else UNAVAILABLE
        self._end(answer.number, answer.value, failure)

    def disconnected(self, transport: asyncio.Transport | None) -> None:
        """It is lost."""
        if transport is self._transport:
            self._lost()

    def _lost(self) -> None:
        self._transport = None
        self._unsent, self._unsent_bytes = [], 0
        for number in list(self._open):
            self._end(number, None, UNAVAILABLE)


class _Connection(asyncio.Protocol):
    def __init__(self, client: CheckClient) -> None:
        self._client = client
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._client.connected(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                self._client.came(frame)
        except Broken:  # both ends come from one installation: it is broken beyond talking to
            assert self._transport is not None
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.disconnected(self._transport)
