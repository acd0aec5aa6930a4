"""Asking a backend how many tokens a call's input really has, before the call is refused or shortened because of what
it could have at most. Never on the way of a call that fits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Final

from gateway.backends import asking
from gateway.backends.base import Backend
from gateway.backends.reply import Limits, Reply
from gateway.clock import Clock
from gateway.config.snapshot import ModelRoute
from gateway.policy import balance
from gateway.wire import tokenize
from gateway.wire.call import Call

COUNT_S: Final = 1.0
"""How long a call waits for the count, connecting included; after that the bound stands."""


class Tokenizers:
    """The backends of one snapshot, as those that count."""

    __slots__ = ("_backends", "_clock", "_limits", "_random")

    def __init__(self, backends: Mapping[str, Backend], limits: Limits, clock: Clock, random: Random) -> None:
        self._backends = backends
        self._limits = limits
        self._clock = clock
        self._random = random

    async def count(self, request_id: str, call: Call, route: ModelRoute) -> int | None:
        """The input tokens that this route's model makes of the call; None where nobody can say, or not in time. The
        backend is not blamed for it.
        """
        backend = self._backends[route.backend]
        if not backend.dialect.tokenizes:
            return None
        native = call.endpoint in backend.dialect.speaks
        asked = tokenize.question(call, route.served_model, route.served_model_json, native=native)
        now_s = self._clock.monotonic_s()
        choice = balance.choose(backend.views(now_s), None, frozenset(), self._random.random())
        if asked is None or choice is None:
            return None
        endpoint = backend.endpoints[choice.index]
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply] = loop.create_future()
        counting = loop.create_task(asking.ask(endpoint, request_id, *asked, self._limits, COUNT_S, now_s))
        counting.add_done_callback(lambda done: _told(done, answer))
        timer = loop.call_later(COUNT_S, counting.cancel)
        try:
            reply = await answer
        finally:
            timer.cancel()
            counting.cancel()
        return tokenize.counted(reply.body) if reply.status == 200 else None


def _told(counting: asyncio.Task[Reply], answer: asyncio.Future[Reply]) -> None:
    """Hands on how the counting ended: cancelled when it was late."""
    if answer.done():
        return
    if counting.cancelled():
        answer.set_result(Reply())
    elif error := counting.exception():
        answer.set_exception(error)
    else:
        answer.set_result(counting.result())
