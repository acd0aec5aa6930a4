"""The requests of records under another snapshot: what it would have made of them, beside what was. Pure.

What was never made cannot be known: a refused request has no answer, and one that was bounded or broke off
no end. They are counted as that; of the former the request counts and costs nothing, of the latter what there was.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from msgspec import Struct

from gateway.config.snapshot import Snapshot
from gateway.errors import BudgetExhausted, ModelNotFound, NotPriced, RateLimited
from gateway.policy.bounds import LIMITS
from gateway.policy.recorded import Recorded
from gateway.policy.replay import MODELS
from gateway.policy.trace import Counts, Request

NEVER_MADE: Final = "never made"
CUT_SHORT: Final = "cut short"
OF_THE_CONFIGURATION: Final = frozenset((RateLimited.code, BudgetExhausted.code, ModelNotFound.code, NotPriced.code))
"""Codes of refusals that another configuration may not make."""


class Compared(Struct):
    """One tenant: what was, by its records. Money is nano-dollars."""

    requests: int = 0
    refused: int = 0
    cost_nanos: int = 0
    never_made: int = 0
    cut_short: int = 0


class Rerun:
    """Sums up what was, and says what is asked again. `left_out` counts requests by the code of what no configuration
    of models and meters changes; `routes` those that would go to another backend: (tenant, model, then, now)."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snap = snapshot
        self.tenants: dict[str, Compared] = {}
        self.left_out: Counter[str] = Counter()
        self.routes: Counter[tuple[str, str, str, str]] = Counter()

    def request(self, record: Recorded) -> Request | None:
        """What is asked again; None for what is left out."""
        refused = record.outcome == "refused"
        odd = not record.tenant or not record.alias or record.endpoint not in MODELS
        if odd or (refused and record.code not in OF_THE_CONFIGURATION):
            self.left_out[record.code] += 1
            return None
        then = self.tenants.setdefault(record.tenant, Compared())
        then.requests += 1
        then.refused += refused
        then.cost_nanos += record.charge_nanos or 0
        unknown = _unknown(record)
        then.never_made += unknown == NEVER_MADE
        then.cut_short += unknown == CUT_SHORT
        self._route(record)
        fresh, cached = record.input_tokens or 0, record.cached_input_tokens or 0
        bound = record.asked_output or record.held_output or None
        return Request(
            at_ns=record.started_ns,
            tenant=record.tenant,
            model=record.alias,
            input_tokens=fresh + cached,
            output_tokens=(record.output_tokens or 0) + (record.reasoning_tokens or 0),
            cached_tokens=cached,
            max_tokens=bound if record.endpoint in LIMITS else 0,
            key=record.key,
            project=record.project,
            end_user=record.end_user,
            conversation=record.conversation,
            held_input=record.held_input,
            lasts_s=record.total_ms / 1e3,
            streams=record.stream,
        )

    def _route(self, record: Recorded) -> None:
        route = self._snap.models.get(record.alias)
        now = route.backend if route is not None else "onnx" if record.alias in self._snap.classic else ""
        then = record.attempts[0].backend if record.attempts else record.backend
        if then and now and now != then and "downgraded:" not in record.action:
            self.routes[record.tenant, record.alias, then, now] += 1


def _unknown(record: Recorded) -> str:
    """Which part of its answer nobody can know; "" for none."""
    if record.input_tokens is None or record.usage_from == "none":
        return NEVER_MADE
    bounded = any(word == "cut" or word.startswith("clamped:") for word in record.action.split(" "))
    return CUT_SHORT if bounded or record.outcome != "answered" else ""


def difference(then: Compared, now: Counts) -> tuple[int, int]:
    """How many more are refused now, and how much more is charged."""
    refused = now.refused_rate + now.refused_budget + now.refused_other
    return refused - then.refused, now.cost_nanos - then.cost_nanos
