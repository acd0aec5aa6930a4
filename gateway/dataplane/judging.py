"""Asking a model behind the gateway what it makes of a text: one that answers as Llama Guard does, or with a number.

What it may cost at most is added to what the request holds before it is asked, what it did cost to its charge.
"""

from __future__ import annotations

import asyncio
from typing import Final, TypeAlias

from gateway.backends import asking
from gateway.config.snapshot import ModelRoute, Snapshot
from gateway.config.snapshot_meters import Price
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.outlets import Told
from gateway.dataplane.recording import Recording
from gateway.errors import MetersUnavailable
from gateway.offload.frames import LATE, UNAVAILABLE
from gateway.policy import balance, bounds, spend
from gateway.policy.verdicts import UNPAID
from gateway.wire import judgements
from gateway.wire.usage import Usage
from guardrails.check import Need

DEADLINE_MS: Final = 5_000
"""Of a check that names none: a model takes its time."""

Judgement: TypeAlias = tuple[float | None, str]
"""A score, or why there is none; neither for an answer that is no judgement."""


def ask(gw: Gateway, snap: Snapshot, record: Recording, need: Need, deadline_ms: int | None, told: Told) -> None:
    """Asks the model that the need names; `told` gets its score of the text, or why there is none, once, later."""
    loop = asyncio.get_running_loop()
    within_s = (DEADLINE_MS if deadline_ms is None else deadline_ms) / 1_000
    asked = loop.create_task(_judged(gw, snap, record, need, within_s))
    timer = loop.call_later(within_s, asked.cancel)

    def heard(done: asyncio.Task[Judgement]) -> None:
        timer.cancel()
        if done.cancelled():
            told(None, LATE)
        elif done.exception() is not None:
            told(None, UNAVAILABLE)
        else:
            told(*done.result())

    asked.add_done_callback(heard)


async def _judged(gw: Gateway, snap: Snapshot, record: Recording, need: Need, within_s: float) -> Judgement:
    route = snap.models.get(need.name)
    return (None, UNAVAILABLE) if route is None else await _of_chat(gw, snap, record, route, need.text, within_s)


async def _of_chat(
    gw: Gateway, snap: Snapshot, record: Recording, route: ModelRoute, text: str, within_s: float
) -> Judgement:
    backend = gw.backends.get(route.backend)
    now_s = gw.clock.monotonic_s()
    if backend is None or "chat" not in backend.dialect.speaks:
        return None, UNAVAILABLE
    choice = balance.choose(backend.views(now_s), None, frozenset(), gw.random.random())
    if choice is None:
        return None, UNAVAILABLE
    body = judgements.question(route.served_model, text)
    most = Usage(bounds.body_tokens(body, backend.overhead(route.served_model)), 0, judgements.MOST_TOKENS, 0)
    bill = await _bill(gw, record, route.alias, route.price, most)
    if bill is None:
        return None, UNPAID
    endpoint = backend.endpoints[choice.index]
    try:
        reply = await asking.ask(endpoint, record.id, judgements.PATH, body, snap.limits, within_s, now_s)
    except asyncio.CancelledError:
        bill.free()
        raise
    if reply.status != 200:
        bill.free()
        return None, UNAVAILABLE
    said = judgements.read(reply.body)
    bill.pay(said.usage or most)
    return said.score, ""


class _Bill:
    """What one judgement costs the tenant, at most `most` nano-dollars; until it is known it stands in the record as
    that."""

    __slots__ = ("_most", "_price", "_record")

    def __init__(self, record: Recording, price: Price | None, most: int) -> None:
        self._record = record
        self._price = price
        self._most = most

    def pay(self, usage: Usage) -> None:
        """The model used this."""
        row = self._record.row
        row.judge_input_tokens += usage.input_tokens + usage.cached_input_tokens
        row.judge_output_tokens += usage.output_tokens + usage.reasoning_tokens
        if self._price is not None:
            row.judge_nanos += min(spend.charge(self._price, usage) + self._price.call, self._most) - self._most

    def free(self) -> None:
        """It did not answer, or too late: that is not the tenant's to pay."""
        self._record.row.judge_nanos -= self._most


async def _bill(gw: Gateway, record: Recording, alias: str, price: Price | None, most: Usage) -> _Bill | None:
    """Holds the price of at most this usage; None where there is not enough left of a budget, or nobody can say. A
    model without a price costs nothing, as does any where money is not counted."""
    row, hold = record.row, record.hold
    if alias not in row.judges.split(" "):
        row.judges = f"{row.judges} {alias}".lstrip()
    if hold is None or not record.terms.money or price is None:
        return _Bill(record, None, 0)
    nanos = spend.bound(price, most.input_tokens, most.output_tokens) + price.call
    assert gw.leasing is not None
    try:
        held = await gw.leasing.extend(hold, 0, nanos)
    except MetersUnavailable:
        held = False
    if not held:
        return None
    bill = _Bill(record, price, nanos)
    if record.holds_for_judges(nanos):
        return bill
    bill.free()
    return None
