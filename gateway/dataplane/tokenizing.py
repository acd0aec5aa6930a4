"""Asking a backend how many tokens a call's input really has, before the call is refused or shortened because of what
it could have at most. Never on the way of a call that fits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Final

from gateway.backends.base import Backend, Endpoint
from gateway.backends.http1 import Connection
from gateway.backends.reply import Limits, Reply
from gateway.clock import Clock
from gateway.config.snapshot import ModelRoute
from gateway.errors import UpstreamError
from gateway.policy import balance
from gateway.wire import tokenize
from gateway.wire.call import JSON, Call

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
        asking = loop.create_task(self._ask(endpoint, request_id, *asked))
        asking.add_done_callback(lambda done: _told(done, answer))
        timer = loop.call_later(COUNT_S, asking.cancel)
        try:
            reply = await answer
        finally:
            timer.cancel()
            asking.cancel()
        return tokenize.counted(reply.body) if reply.status == 200 else None

    async def _ask(self, endpoint: Endpoint, request_id: str, path: bytes, body: bytes) -> Reply:
        """The answer; an empty one where there is none."""
        head = endpoint.head(path, request_id, "", JSON, len(body))
        connection: Connection | None = None
        serial = 0
        try:
            connection = endpoint.pool.take() or await endpoint.pool.connect()
            now_s = self._clock.monotonic_s()
            waiter = connection.request(head, body, False, self._limits, now_s + COUNT_S, now_s)
            serial = connection.requests_sent
            return await waiter.in_task()
        except UpstreamError:
            return Reply()
        finally:
            if connection is not None and connection.busy and connection.requests_sent == serial:
                connection.abort()


def _told(asking: asyncio.Task[Reply], answer: asyncio.Future[Reply]) -> None:
    """Hands on how the asking ended: cancelled when it was late."""
    if answer.done():
        return
    if asking.cancelled():
        answer.set_result(Reply())
    elif error := asking.exception():
        answer.set_exception(error)
    else:
        answer.set_result(asking.result())
