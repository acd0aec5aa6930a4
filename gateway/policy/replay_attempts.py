"""Where each try of a request went and what followed a failure, derived again. Pure; see `replay`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.config.model import Servers
from gateway.config.snapshot import Snapshot
from gateway.errors import (
    ConnectFailed,
    GatewayError,
    NoEndpoint,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamProtocol,
    UpstreamTimeout,
)
from gateway.policy import attempts, balance
from gateway.policy.balance import EndpointView, weight_hash
from gateway.policy.recorded import Recorded, Tried
from gateway.policy.replay_meters import Derived
from gateway.policy.resolve import Plan

DRAWS: Final = 2**53
"""What a draw is kept in parts of."""
_ERRORS: Final[dict[str, type[GatewayError]]] = {
    each.code: each
    for each in (ConnectFailed, UpstreamFailed, UpstreamProtocol, UpstreamTimeout, UpstreamBusy, NoEndpoint)
}
_REASONS: Final = {"retry": "retry", "fallback": "fallback", "again_fresh_connection": "fresh_connection"}
_BUDGET: Final = "budget_spent"
_NONE: Final = frozenset[int]()


class _Replies(attempts.RetryBudget):
    """A budget that says what the real one said, which the record tells: it is shared by all requests."""

    __slots__ = ("has",)

    def __init__(self) -> None:
        super().__init__(1.0, 0.0)
        self.has = True

    def spend(self, now_s: float) -> bool:
        """As recorded."""
        return self.has


class Attempts:
    """Derives the tries of requests that were made under one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snap = snapshot
        self._views: dict[str, list[EndpointView] | None] = {}
        self._budget = _Replies()

    def of(self, record: Recorded, models: list[str], plan: Plan) -> Iterable[Derived]:
        """Of each try: the endpoint; of each that failed: what followed, and how it was called."""
        tries = record.attempts
        if len(tries) == 1 and not tries[0].then and tries[0].reason != "fallback":  # as nearly all are
            yield self._endpoint(record, tries[0], _NONE)
            return
        order = [route.alias for route in plan.routes]
        visited = [route for route in plan.routes if route.alias in models]
        at, number, tried = 0, 1, _NONE
        for position, each in enumerate(tries):
            if each.reason == "fallback":
                later = (index for index, route in enumerate(visited) if index > at and route.backend == each.backend)
                at, number, tried = next(later, at), 1, frozenset()
            yield self._endpoint(record, each, tried)
            index = self._index(each)
            following = tries[position + 1] if position + 1 < len(tries) else None
            if not each.then:
                if following is not None:
                    yield Derived("following", following.reason, None, "why is not in the record")
                continue
            kept = each.choice == "kept"
            routes_left = 0 if kept else len(order) - 1 - order.index(visited[at].alias)
            found = self._after(each, number, routes_left)
            yield Derived("following", each.then, found.reason)
            if following is not None and found.action != "fallback" and following.reason == "fallback":
                yield Derived(
                    "reason", following.reason, None, "no endpoint was in service then, of which there is no row"
                )
            elif following is not None:
                yield Derived("reason", following.reason, _REASONS.get(found.action, ""))
            tried = frozenset() if each.then in ("same_endpoint", "kept_alive_connection_died") else tried | {index}
            number += found.action == "retry"

    def _after(self, each: Tried, number: int, routes_left: int) -> attempts.Next:
        """What policy says to a failed try."""
        self._budget.has = each.then != _BUDGET
        over = each.then == "deadline"
        return attempts.decide(
            _ERRORS.get(each.code, GatewayError)(""),
            attempt_no=number,
            attempts_most=self._snap.retries.attempts,
            first_byte_sent=False,
            reused_connection=each.then == "kept_alive_connection_died",
            endpoints_left=each.endpoints_left,
            routes_left=routes_left,
            left_s=0.0 if over else max(1e-3, self._snap.limits.total_s - each.ended_ms / 1e3),
            budget=self._budget,
            now_s=0.0,
            draw=0.0,
        )

    def _endpoint(self, record: Recorded, each: Tried, tried: frozenset[int]) -> Derived:
        """Which endpoint, and why."""
        recorded = f"{each.choice} {each.endpoint}"
        if each.choice == "kept":
            return Derived("endpoint", recorded, None, "which endpoint keeps an earlier answer is not in the record")
        views = self._of(each.backend)
        if len(each.loads) == 1:
            return Derived("endpoint", recorded, f"{balance.ONLY} {each.endpoint}" if 0 not in tried else "")
        if views is None:
            return Derived("endpoint", recorded, None, "an endpoint's address comes from the environment")
        if len(views) != len(each.loads):
            return Derived("endpoint", recorded, None, "not all loads were kept: there are too many endpoints")
        for view, load in zip(views, each.loads, strict=True):
            view.outstanding = load
            view.available = view.index not in each.out_of_service
        sticky = bytes.fromhex(record.conversation) if record.conversation else None
        choice = balance.choose(views, sticky, tried, each.draw / DRAWS)
        return Derived("endpoint", recorded, "" if choice is None else f"{choice.reason} {views[choice.index].name}")

    def _index(self, each: Tried) -> int:
        views = self._of(each.backend)
        return next((view.index for view in views or () if view.name == each.endpoint), 0)

    def _of(self, backend: str) -> list[EndpointView] | None:
        """The endpoints of a backend; None where their addresses are not in the snapshot."""
        if backend not in self._views:
            found = self._snap.backends.get(backend)
            urls = [end.url for end in found.endpoints] if isinstance(found, Servers) else []
            known = bool(urls) and not any("${" in url for url in urls)
            views = [EndpointView(index, url, 0, True, weight_hash(url)) for index, url in enumerate(urls)]
            self._views[backend] = views if known else None
        return self._views[backend]
