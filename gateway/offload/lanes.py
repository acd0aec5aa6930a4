"""Who is answered next. The shortest first: a long text takes a tenth of a second, and many short ones fit before it.

Short texts have a thread of their own beside the one for long texts. Both run Python and share the interpreter, so a
short text that comes while a long one is scored does not wait for its end, only for its turns of the interpreter.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from gateway.offload.frames import LATE, UNAVAILABLE, Question

MOST_WAITING: Final = 4_000
MOST_BYTES: Final = 128 << 20
"""Of the texts that wait in a lane."""

STUCK_S: Final = 30.0
"""An answer that takes so long …"""
STUCK_S_PER_BYTE: Final = 0.001
"""… and for each byte of its text so much more, some thirty times what the slowest check takes, never ends."""

Work = Callable[[Question], object]
"""Runs in a thread. Raises `Unanswered`."""
Reply = Callable[[object, str], None]
"""(value, failure), in the event loop."""


class Unanswered(Exception):
    """There is no value: `late` or `unavailable`."""

    def __init__(self, reason: str = UNAVAILABLE) -> None:
        super().__init__(reason)
        self.reason = reason


class Lane:
    """So many threads, and the questions that wait for one. Belongs to the event loop it is used in."""

    def __init__(
        self, name: str, threads: int, work: Work, on_bug: Callable[[BaseException], None], stuck_s: float = STUCK_S
    ) -> None:
        self._stuck_s = stuck_s
        self._work = work
        self._on_bug = on_bug
        self._idle = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._waiting: list[tuple[int, int, Question, Reply]] = []
        self._bytes = 0
        self._count = 0
        self._ends_s: dict[int, float] = {}
        """By its count: when what runs should long have ended."""

    def put(self, question: Question, reply: Reply) -> None:
        """Answers it when its turn comes; at once, with a failure, where too many wait."""
        size = len(question.text)
        if len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_BYTES:
            self._forget_late()
        if len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_BYTES:
            reply(None, UNAVAILABLE)
            return
        self._count += 1
        heapq.heappush(self._waiting, (size, self._count, question, reply))
        self._bytes += size
        self._next()

    @property
    def stuck(self) -> bool:
        """Whether something runs that does not seem to end."""
        now = time.monotonic()
        return any(end_s < now for end_s in self._ends_s.values())

    def close(self) -> None:
        """Nothing more is begun."""
        self._waiting.clear()
        self._idle = 0
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        while self._idle and self._waiting:
            size, number, question, reply = heapq.heappop(self._waiting)
            self._bytes -= size
            now = time.monotonic()
            if question.until_s <= now:
                reply(None, LATE)
                continue
            self._idle -= 1
            self._ends_s[number] = now + self._stuck_s + STUCK_S_PER_BYTE * size
            doing = asyncio.get_running_loop().run_in_executor(self._threads, self._work, question)
            doing.add_done_callback(lambda done, number=number, reply=reply: self._done(done, number, reply))  # type: ignore[misc]

    def _done(self, done: asyncio.Future[object], number: int, reply: Reply) -> None:
        del self._ends_s[number]
        if done.cancelled():
            return
        self._idle += 1
        error = done.exception()
        if error is None:
            reply(done.result(), "")
        elif isinstance(error, Unanswered):
            reply(None, error.reason)
        else:
            self._on_bug(error)
            reply(None, UNAVAILABLE)
        self._next()

    def _forget_late(self) -> None:
        now = time.monotonic()
        late = [each for each in self._waiting if each[2].until_s <= now]
        self._waiting = [each for each in self._waiting if each[2].until_s > now]
        heapq.heapify(self._waiting)
        self._bytes = sum(each[0] for each in self._waiting)
        for _, _, _, reply in late:
            reply(None, LATE)
