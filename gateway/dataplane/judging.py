"""Asking a model behind the gateway what it makes of a text: a chat model that answers as Llama Guard does, or with a
number, or a classifier, in this process or behind a server of the Open Inference Protocol.

What it may cost at most is added to what the request holds before it is asked, what it did cost to its charge.
"""

from __future__ import annotations

import asyncio
from typing import Final, TypeAlias

from gateway.backends import asking
from gateway.backends.base import Endpoint
from gateway.config.snapshot import ClassicModel, ModelRoute, Snapshot
from gateway.config.snapshot_meters import Price
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.outlets import Told
from gateway.dataplane.recording import Recording
from gateway.errors import GatewayError, MetersUnavailable
from gateway.offload.frames import LATE, UNAVAILABLE
from gateway.policy import balance, bounds, spend
from gateway.policy.overhead import Overhead
from gateway.policy.verdicts import UNPAID
from gateway.wire import judgements
from gateway.wire.infer import judging as infer_judging
from gateway.wire.infer import passing as infer_passing
from gateway.wire.infer import paths as infer_paths
from gateway.wire.infer import request as infer_request
from gateway.wire.usage import Usage
from guardrails.check import Need

DEADLINE_MS: Final = 5_000
"""Of a check that names none: a model takes its time."""

OK: Final = 200
NO_TOKENS: Final = Usage(0, 0, 0, 0)

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
    model = snap.classic.get(need.name)
    if model is not None:
        return await _here(gw, record, model, need.text, within_s)
    route = snap.models.get(need.name)
    backend = None if route is None else gw.backends.get(route.backend)
    now_s = gw.clock.monotonic_s()
    choice = None
    if backend is not None:
        choice = balance.choose(backend.views(now_s), None, frozenset(), gw.random.random())
    if route is None or backend is None or choice is None:
        return None, UNAVAILABLE
    endpoint, until_s = backend.endpoints[choice.index], now_s + within_s
    if "chat" in backend.dialect.speaks:
        overhead = backend.overhead(route.served_model)
        return await _of_chat(gw, snap, record, route, endpoint, overhead, need.text, until_s)
    if infer_passing.ENDPOINT in backend.dialect.speaks:
        return await _of_server(gw, snap, record, route, endpoint, need.text, until_s)
    return None, UNAVAILABLE


async def _of_chat(
    gw: Gateway,
    snap: Snapshot,
    record: Recording,
    route: ModelRoute,
    endpoint: Endpoint,
    overhead: Overhead,
    text: str,
    until_s: float,
) -> Judgement:
    """By a chat model."""
    body = judgements.question(route.served_model, text)
    most = Usage(bounds.body_tokens(body, overhead), 0, judgements.MOST_TOKENS, 0)
    bill = await _bill(gw, record, route.alias, route.price, most)
    if bill is None:
        return None, UNPAID
    with bill:
        reply = await asking.ask(
            endpoint, record.id, judgements.PATH, body, snap.limits, until_s, gw.clock.monotonic_s()
        )
        if reply.status != OK:
            return None, UNAVAILABLE
        said = judgements.read(reply.body)
        bill.pay(said.usage or most)
        return said.score, ""


async def _of_server(
    gw: Gateway, snap: Snapshot, record: Recording, route: ModelRoute, endpoint: Endpoint, text: str, until_s: float
) -> Judgement:
    """By a model of a server of the Open Inference Protocol, which is asked once what the model's input is."""
    known = (route.backend, route.served_model)
    spec = gw.judges.get(known)
    if spec is None:
        path = infer_paths.path(route.served_model, "", "metadata")
        told = await asking.ask(
            endpoint, record.id, path, b"", snap.limits, until_s, gw.clock.monotonic_s(), method=b"GET"
        )
        spec = infer_judging.told_input(told.body) if told.status == OK else None
        if spec is None:
            return None, UNAVAILABLE
        gw.judges[known] = spec
    bill = await _bill(gw, record, route.alias, route.price, NO_TOKENS)
    if bill is None:
        return None, UNPAID
    with bill:
        path = infer_paths.path(route.served_model, "", "infer")
        body, _ = infer_request.outgoing(infer_judging.question(spec, text, binary=False))
        reply = await asking.ask(endpoint, record.id, path, body, snap.limits, until_s, gw.clock.monotonic_s())
        if reply.status != OK:
            gw.judges.pop(known, None)  # another model may be there by now
            return None, UNAVAILABLE
        bill.pay(NO_TOKENS)
        return infer_judging.score(infer_judging.answered(reply.body)), ""


async def _here(gw: Gateway, record: Recording, model: ClassicModel, text: str, within_s: float) -> Judgement:
    """By a classic model in this process."""
    session = gw.classic.get(model.alias, {}).get(model.default)
    spec = None if session is None else infer_judging.input_of(session.signature.inputs)
    if session is None or spec is None:
        return None, UNAVAILABLE
    bill = await _bill(gw, record, model.alias, model.price, NO_TOKENS)
    if bill is None:
        return None, UNPAID
    with bill:
        try:
            outputs = await session.predict(infer_judging.question(spec, text, binary=True), gw.runs, within_s)
        except GatewayError:
            return None, UNAVAILABLE
        bill.pay(NO_TOKENS)
        return infer_judging.score(outputs), ""


class _Bill:
    """What one judgement costs the tenant, at most `most` nano-dollars; until it is known it stands in the record as
    that. Left without having been paid, it is nothing: a model that does not answer, or too late, is not the tenant's
    to pay."""

    __slots__ = ("_most", "_paid", "_price", "_record")

    def __init__(self, record: Recording, price: Price | None, most: int) -> None:
        self._record = record
        self._price = price
        self._most = most
        self._paid = False

    def __enter__(self) -> None:
        """The model is asked."""

    def __exit__(self, *_: object) -> None:
        if not self._paid:
            self._record.row.judge_nanos -= self._most

    def pay(self, usage: Usage) -> None:
        """The model used this."""
        self._paid = True
        row = self._record.row
        row.judge_input_tokens += usage.input_tokens + usage.cached_input_tokens
        row.judge_output_tokens += usage.output_tokens + usage.reasoning_tokens
        if self._price is not None:
            row.judge_nanos += min(spend.charge(self._price, usage) + self._price.call, self._most) - self._most


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
    if record.holds_for_judges(nanos):
        return _Bill(record, price, nanos)
    row.judge_nanos -= nanos
    return None
