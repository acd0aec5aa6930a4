"""Asking a model behind the gateway what it makes of a text: one that answers as Llama Guard does, or with a number."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.backends import asking
from gateway.backends.reply import Reply
from gateway.config.snapshot import Snapshot
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.outlets import Told
from gateway.policy import balance
from gateway.wire import judgements
from guardrails.check import Need

DEADLINE_MS: Final = 5_000
"""Of a check that names none: a model takes its time."""
LATE: Final = "late"
UNAVAILABLE: Final = "unavailable"


def ask(gw: Gateway, snap: Snapshot, request_id: str, need: Need, deadline_ms: int | None, told: Told) -> None:
    """Asks the model that the need names; `told` gets its score of the text, or why there is none, once, later."""
    loop = asyncio.get_running_loop()
    route = snap.models.get(need.name)
    backend = None if route is None else gw.backends.get(route.backend)
    now_s = gw.clock.monotonic_s()
    choice = None
    if backend is not None and "chat" in backend.dialect.speaks:
        choice = balance.choose(backend.views(now_s), None, frozenset(), gw.random.random())
    if route is None or backend is None or choice is None:
        loop.call_soon(told, None, UNAVAILABLE)
        return
    within_s = (DEADLINE_MS if deadline_ms is None else deadline_ms) / 1_000
    body = judgements.question(route.served_model, need.text)
    endpoint = backend.endpoints[choice.index]
    answer = asking.ask(endpoint, request_id, judgements.PATH, body, snap.limits, within_s, now_s)
    asked = loop.create_task(answer)
    timer = loop.call_later(within_s, asked.cancel)

    def heard(done: asyncio.Task[Reply]) -> None:
        timer.cancel()
        if done.cancelled():
            told(None, LATE)
        elif done.exception() is not None or done.result().status != 200:
            told(None, UNAVAILABLE)
        else:
            told(judgements.score(done.result().body), "")

    asked.add_done_callback(heard)
