"""Measures what the chat templates of metered models add, where backends count: once for each endpoint and model, and
again when the endpoint was away (another model may be back) or a call used more than it could have.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.backends import asking
from gateway.backends.base import Backend, Endpoint
from gateway.clock import within
from gateway.config.snapshot import Snapshot
from gateway.dataplane.gateway import Gateway
from gateway.policy.overhead import Overhead
from gateway.telemetry.logs import Log
from gateway.wire import tokenize

EVERY_S: Final = 2.0
ANSWER_S: Final = 2.0
"""How long a backend may take for one count."""
PATIENCE_S: Final = 2.0
"""How long a start and a reload wait for what can be measured at once."""
REQUEST_ID: Final = "measuring"


@dataclass(frozen=True, slots=True)
class _Model:
    """What is measured of it, and where that is kept."""

    served_model_json: bytes
    overhead: Overhead


_Pair = tuple[Endpoint, str]


class Measuring:
    """Which endpoints counted for which served models."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._done: set[_Pair] = set()
        self._told: set[_Pair] = set()
        """Those of whose failure the log tells."""

    def away(self, endpoint: Endpoint) -> None:
        """The endpoint is out of service: what it serves when it is back is not known."""
        self._done = {pair for pair in self._done if pair[0] is not endpoint}

    async def at_once(self, backends: Mapping[str, Backend], snap: Snapshot) -> None:
        """Measures what is new, for as long as a start may wait for it; the rest is measured in the background."""
        try:
            await within(self._looked(backends, snap), PATIENCE_S)
        except TimeoutError:
            self._log.debug("overheads_not_measured_yet")

    async def watch(self, gateway: Gateway) -> None:
        """Looks now and then every two seconds. Runs until cancelled."""
        while True:
            await self._looked(gateway.backends, gateway.snapshot)
            await asyncio.sleep(EVERY_S)

    async def _looked(self, backends: Mapping[str, Backend], snap: Snapshot) -> None:
        try:
            await self.look(backends, snap)
        except Exception as error:  # noqa: BLE001 (without it what is assumed of any model stands)
            self._log.bug("measuring_bug", error)

    async def look(self, backends: Mapping[str, Backend], snap: Snapshot) -> None:
        """Measures what is not measured yet of the endpoints in service."""
        wanted = _wanted(backends, snap)
        self._done &= wanted.keys()
        self._told &= wanted.keys()
        doubted = {model.overhead for model in wanted.values() if model.overhead.doubted}
        for overhead in doubted:
            overhead.doubted = False
        for pair, model in wanted.items():
            if pair[0].health.state != "closed" or model.overhead in doubted:
                self._done.discard(pair)
        due: dict[Endpoint, list[_Pair]] = {}
        for pair in wanted.keys() - self._done:
            if pair[0].health.state == "closed":
                due.setdefault(pair[0], []).append(pair)
        await asyncio.gather(*(self._measure_all(pairs, wanted, snap) for pairs in due.values()))

    async def _measure_all(self, pairs: list[_Pair], wanted: Mapping[_Pair, _Model], snap: Snapshot) -> None:
        """One after the other, so that a start does not flood an endpoint that serves many."""
        for pair in pairs:
            if not await self._measure(pair, wanted[pair], snap):
                return  # nor would it say anything of the others

    async def _measure(self, pair: _Pair, model: _Model, snap: Snapshot) -> bool:
        """Whether the endpoint answered, be it that it does not count."""
        endpoint, served_model = pair
        counts: list[int | None] = []
        for body in tokenize.examples(model.served_model_json):
            now_s = time.monotonic()
            reply = await asking.ask(endpoint, REQUEST_ID, tokenize.PATH, body, snap.limits, ANSWER_S, now_s)
            if reply.status == asking.NO_ANSWER:
                self._tell(pair)
                return False
            counts.append(tokenize.counted(reply.body) if reply.status == 200 else None)
        if counts[0] is None:
            self._tell(pair)
        model.overhead.measured(endpoint.name, counts)
        self._done.add(pair)
        self._log.debug("overhead_measured", endpoint=endpoint.name, model=served_model, counts=counts)
        return True

    def _tell(self, pair: _Pair) -> None:
        if pair not in self._told:
            self._told.add(pair)
            self._log.debug("overhead_not_measured", endpoint=pair[0].name, model=pair[1])


def _wanted(backends: Mapping[str, Backend], snap: Snapshot) -> dict[_Pair, _Model]:
    """What is to be known: nothing where nothing is metered."""
    found: dict[_Pair, _Model] = {}
    for route in snap.models.values() if snap.metered else ():
        backend = backends[route.backend]
        if backend.dialect.tokenizes:
            model = _Model(route.served_model_json, backend.overhead(route.served_model))
            found |= {(endpoint, route.served_model): model for endpoint in backend.endpoints}
    return found
