"""Who is answered next. The shortest first: a long text takes a tenth of a second, and many short ones fit before it.

Short texts have a thread of their own beside the one for long texts. Both run Python and share the interpreter, so a
short text that comes while a long one is scored does not wait for its end, only for its turns of the interpreter.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Sequence
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
TOGETHER: Final = "entities"
"""The kind of questions that are less work together: a model's call costs as much as the words of three sentences."""
TOGETHER_BYTES: Final = 2_000
"""Of texts that are taken together: more take so long that the next would wait for it."""

Work = Callable[[Question], object]
"""Runs in a thread. Raises `Unanswered`."""
WorkTogether = Callable[[Sequence[Question]], Sequence[object]]
"""The same for several of one name. When it raises, each is tried by itself."""
Outcome = tuple[object, str] | Exception
"""(value, failure), or what was raised."""
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
        self,
        name: str,
        threads: int,
        work: Work,
        on_bug: Callable[[BaseException], None],
        stuck_s: float = STUCK_S,
        together: WorkTogether | None = None,
    ) -> None:
        self._stuck_s = stuck_s
        self._work = work
        self._together = together
        self._on_bug = on_bug
        self._idle = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._waiting: list[tuple[int, int, Question, Reply]] = []
        self._bytes = 0
        self._count = 0
        self._ends_s: dict[int, float] = {}
        """By its count: when what runs should long have ended."""
        self._soon = False

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
        if self._together is None:
            self._next()
        elif not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_soon(self._begin)  # when all that came at once is here

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

    def _begin(self) -> None:
        self._soon = False
        self._next()

    def _next(self) -> None:
        while self._idle and self._waiting:
            taken = self._taken()
            if taken:
                self._idle -= 1
                number, questions = taken[0][0], [question for _, question, _ in taken]
                size = sum(len(question.text) for question in questions)
                self._ends_s[number] = time.monotonic() + self._stuck_s + STUCK_S_PER_BYTE * size
                doing = asyncio.get_running_loop().run_in_executor(self._threads, self._outcomes, questions)
                replies = [reply for _, _, reply in taken]
                doing.add_done_callback(lambda done, number=number, replies=replies: self._done(done, number, replies))  # type: ignore[misc]

    def _taken(self) -> list[tuple[int, Question, Reply]]:
        """The next, and what of those after it may be taken with it; none if nobody waits for it any more."""
        taken: list[tuple[int, Question, Reply]] = []
        left = TOGETHER_BYTES
        while self._waiting:
            size, number, question, reply = self._waiting[0]
            if taken and (self._together is None or size > left or not _alike(question, taken[0][1])):
                break
            heapq.heappop(self._waiting)
            self._bytes -= size
            if question.until_s <= time.monotonic():
                reply(None, LATE)
                continue
            left -= size
            taken.append((number, question, reply))
        return taken

    def _outcomes(self, questions: Sequence[Question]) -> list[Outcome]:
        """In a thread: of each question. One that cannot be answered says nothing of those beside it."""
        if self._together is not None and len(questions) > 1:
            try:
                return [(value, "") for value in self._together(questions)]
            except Exception:  # noqa: BLE001 - which of them it was is seen when each is by itself
                pass
        return [self._outcome(question) for question in questions]

    def _outcome(self, question: Question) -> Outcome:
        try:
            return self._work(question), ""
        except Unanswered as error:
            return None, error.reason
        except Exception as error:  # noqa: BLE001 - told to `on_bug` by the loop
            return error

    def _done(self, done: asyncio.Future[list[Outcome]], number: int, replies: Sequence[Reply]) -> None:
        del self._ends_s[number]
        if done.cancelled():
            return
        self._idle += 1
        for outcome, reply in zip(done.result(), replies, strict=True):
            if isinstance(outcome, Exception):
                self._on_bug(outcome)
                reply(None, UNAVAILABLE)
            else:
                reply(*outcome)
        self._next()

    def _forget_late(self) -> None:
        now = time.monotonic()
        late = [each for each in self._waiting if each[2].until_s <= now]
        self._waiting = [each for each in self._waiting if each[2].until_s > now]
        heapq.heapify(self._waiting)
        self._bytes = sum(each[0] for each in self._waiting)
        for _, _, _, reply in late:
            reply(None, LATE)


def _alike(one: Question, other: Question) -> bool:
    return one.kind == other.kind == TOGETHER and one.name == other.name
