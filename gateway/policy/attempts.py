"""What to do after an attempt failed: the same backend again, the next one, or tell the caller.

Only before the first byte has reached the caller, never after.

    the attempt ended with     again on this backend?                                                next route?
    ConnectFailed              yes: nothing was generated                                            yes
    UpstreamFailed (5xx)       yes                                                                   yes
    UpstreamProtocol           yes: it is the endpoint that is broken, not the request               yes
    UpstreamTimeout            on another endpoint only: this one may still be working on it         yes
    UpstreamBusy (429, 503)    on another endpoint only: a full one needs nothing less than more     yes
    NoEndpoint                 no: there is none                                                     yes
    UpstreamRejected           no: it would be refused again                                         no
    anything else              no: it is ours, the caller's, or came after the first byte            no

ConnectFailed on a connection that had been used before is no failure yet: the endpoint closed it while we wrote, which
it may (RFC 9112 §9.3.1), so the request goes out once more at once, on a fresh one and outside the budget.

Retries on one backend draw on a budget that is a share of traffic, so that they cannot multiply an outage. A fallback
does not: each request visits each route at most once, and a backend that is down needs all of its traffic to go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from gateway.errors import (
    ConnectFailed,
    GatewayError,
    NoEndpoint,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamProtocol,
    UpstreamTimeout,
)

Action = Literal["again_fresh_connection", "retry", "fallback", "give_up"]
Where = Literal["anywhere", "elsewhere", "nowhere"]

BASE_DELAY_S: Final = 0.05
MOST_DELAY_S: Final = 1.0

_RETRY: Final[Mapping[type[GatewayError], Where]] = {
    ConnectFailed: "anywhere",
    UpstreamFailed: "anywhere",
    UpstreamProtocol: "anywhere",
    UpstreamTimeout: "elsewhere",
    UpstreamBusy: "elsewhere",
    NoEndpoint: "nowhere",
}
"""Errors another attempt may cure, and where on the same backend; those not listed end the request."""


class Next(msgspec.Struct, frozen=True, gc=False):
    """What to do, after `delay_s`, and why in a word. A "retry" has been taken out of the budget."""

    action: Action
    delay_s: float
    reason: str


class RetryBudget:
    """How many retries a backend may have: `share` of its requests, and one a second so that little traffic has some.

    Its state is its own: one per backend and worker. Over any time: retries ≤ share × requests + RESERVE + seconds.
    """

    RESERVE: Final = 10.0
    """What can be saved up: a burst of failures in calm times is still retried."""

    __slots__ = ("_saved", "_share", "_unearned_s")

    def __init__(self, share: float, now_s: float) -> None:
        self._share = share
        self._saved = self.RESERVE if share > 0 else 0.0
        self._unearned_s = now_s

    def earn(self) -> None:
        """A request (not a retry) is sent to the backend."""
        saved = self._saved + self._share
        self._saved = saved if saved < self.RESERVE else self.RESERVE

    def spend(self, now_s: float) -> bool:
        """Takes one retry out, if there is one. A share of 0 means none, ever."""
        if self._saved >= 1.0:
            self._saved -= 1.0
            return True
        if self._share > 0 and now_s - self._unearned_s >= 1.0:
            self._unearned_s = now_s
            return True
        return False


def decide(
    error: GatewayError,
    *,
    attempt_no: int,
    attempts_most: int,
    first_byte_sent: bool,
    reused_connection: bool,
    endpoints_left: int,
    routes_left: int,
    left_s: float,
    budget: RetryBudget,
    now_s: float,
    draw: float,
) -> Next:
    """What follows a failed attempt; asks `budget` only when a retry is otherwise right.

    `attempt_no` counts this backend's attempts from 1; one made again on a fresh connection keeps its number and comes
    with `reused_connection` false. `endpoints_left` are this backend's endpoints in service and not yet tried,
    `routes_left` the fallbacks not yet tried, `left_s` the time to the request's deadline. `draw` is uniform in [0, 1).
    """
    if first_byte_sent:
        return Next("give_up", 0.0, "first_byte_sent")
    where = _RETRY.get(type(error))
    if where is None:
        return Next("give_up", 0.0, "not_curable")
    if left_s <= 0.0:
        return Next("give_up", 0.0, "deadline")
    if reused_connection and type(error) is ConnectFailed:
        return Next("again_fresh_connection", 0.0, "kept_alive_connection_died")
    if where == "nowhere" or (where == "elsewhere" and not endpoints_left):
        refused = "no_other_endpoint"
    elif attempt_no >= attempts_most:
        refused = "attempts_spent"
    elif budget.spend(now_s):
        if endpoints_left:
            return Next("retry", 0.0, "other_endpoint")
        return Next("retry", min(left_s, backoff_s(attempt_no, draw)), "same_endpoint")
    else:
        refused = "budget_spent"
    return Next("fallback" if routes_left else "give_up", 0.0, refused)


def backoff_s(attempt_no: int, draw: float) -> float:
    """Full jitter: uniform below a bound that doubles.

    Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    return draw * min(MOST_DELAY_S, BASE_DELAY_S * 2.0 ** min(attempt_no - 1, 10))
