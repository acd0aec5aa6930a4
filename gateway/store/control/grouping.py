"""Group commit: requests that come while one transaction is written wait, and go together into the next one.

So a disk that takes 5 ms to be sure writes for everybody who asked meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from gateway.config.entries import Entry
from gateway.store.control.base import Refused, Repeated
from gateway.store.control.deciding import Request, Working

MOST: Final = 200
"""Requests in one transaction."""

Outcome: TypeAlias = list[Entry] | Refused | Repeated
Commit: TypeAlias = Callable[[Sequence[Request]], Awaitable[Sequence[Outcome]]]
"""Writes a group; when it raises, nothing is known of any of them."""


class Groups:
    """The requests of one process, on one event loop."""

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._waiting: list[tuple[Request, asyncio.Future[list[Entry]]]] = []
        self._running: asyncio.Task[None] | None = None

    async def do(self, request: Request) -> list[Entry]:
        """Returns when it is on the disk. Raises what it was refused with, or what `commit` raised. One whose caller
        leaves before its turn is not done."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Entry]] = loop.create_future()
        self._waiting.append((request, done))
        if self._running is None:
            self._running = loop.create_task(self._run())
        return await done

    async def finished(self) -> None:
        """Waits until nothing waits any more."""
        if self._running is not None:
            await asyncio.wait({self._running})

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            group = [(request, done) for request, done in group if not done.done()]
            if group:
                await self._do([request for request, _ in group], [done for _, done in group])
        self._running = None

    async def _do(self, requests: Sequence[Request], waiting: Sequence[asyncio.Future[list[Entry]]]) -> None:
        committing = asyncio.ensure_future(self._commit(requests))
        await asyncio.wait({committing})
        error = committing.exception()
        outcomes: Sequence[Outcome | BaseException] = committing.result() if error is None else [error] * len(requests)
        for outcome, done in zip(outcomes, waiting, strict=True):
            if done.done():
                continue
            if isinstance(outcome, BaseException):
                done.set_exception(outcome)
            else:
                done.set_result(outcome)


def decided(working: Working, requests: Sequence[Request]) -> list[Outcome]:
    """What becomes of each; what is to be written is then in `working`."""
    outcomes: list[Outcome] = []
    for request in requests:
        try:
            outcomes.append(working.do(request))
        except (Refused, Repeated) as refusal:
            outcomes.append(refusal)
    return outcomes
