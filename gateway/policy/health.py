"""Whether an endpoint is in service: a circuit breaker, written as a table.

Passive first: what requests met is the evidence. Active probes of `/health` can only bring an endpoint back sooner, or
take out one that does not answer at all; they never outweigh requests that fail.

    state      event         next
    closed     succeeded     closed     counted
    closed     failed        closed     counted, or open: too many in a row, or too large a share of the window
    closed     probe_failed  the same   in a row only: probes are no traffic
    closed     probe_ok      closed     failed probes are forgotten, failed requests are not
    open       admitted      half_open  the cooldown is over and this request is the trial
    open       probe_ok      open       its cooldown ended, if it opened because no connection could be made: now one
                                        can. (Who answers 5xx to requests may well answer a probe: no news.)
    half_open  succeeded     closed     all forgotten
    half_open  failed        open       with a longer cooldown
    half_open  probe_failed  open       the same
    half_open  abandoned     open       the trial ended without a verdict (its caller left); the next request is one
    half_open  admitted      half_open  the trial was never heard of again: another one

"unreachable" (no connection) is "failed" with a note. Every other pair leaves things as they are: late news of requests
sent before the circuit opened, a probe that confirms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from gateway.errors import (
    ConnectFailed,
    GatewayError,
    NotServed,
    StreamBroken,
    UpstreamFailed,
    UpstreamProtocol,
    UpstreamRejected,
    UpstreamTimeout,
)

State = Literal["closed", "open", "half_open"]
Event = Literal["succeeded", "failed", "unreachable", "abandoned", "admitted", "probe_ok", "probe_failed"]


class Rules(msgspec.Struct, frozen=True):
    """When a circuit opens and for how long. Times in seconds."""

    failures_in_a_row: int = 5
    window_s: float = 10.0
    window_least: int = 20
    """Fewer requests than this in a window say nothing about a share."""
    window_share: float = 0.5
    cooldown_s: float = 1.0
    cooldown_growth: float = 2.0
    cooldown_most_s: float = 30.0
    trial_s: float = 60.0
    """A trial not heard of for this long no longer keeps others out."""


class Health(msgspec.Struct, frozen=True, gc=False):
    """One endpoint's state; times are monotonic seconds, the caller's."""

    state: State = "closed"
    until_s: float = 0.0
    """No request before this: the end of a cooldown (open) or of a trial (half_open)."""
    cooldown_s: float = 0.0
    """The cooldown in force; grows while trials fail."""
    reached: bool = True
    """False when the circuit opened because no connection could be made."""
    in_a_row: int = 0
    """Failures since the last success, of requests and of probes."""
    probes_in_a_row: int = 0
    """Those among them that were probes, since a probe went well."""
    window_from_s: float = 0.0
    window_total: int = 0
    window_failed: int = 0


HEALTHY: Final = Health()


def available(health: Health, now_s: float) -> bool:
    """Whether a request may be sent; whoever sends one then tells `after(…, "admitted", …)`."""
    return now_s >= health.until_s or health.state == "closed"


def calm(succeeded: int, now_s: float) -> Health:
    """The state of an endpoint that answered so many requests since its window began, and failed none."""
    return Health(window_from_s=now_s, window_total=succeeded)


def settled(health: Health, now_s: float, rules: Rules) -> Health:
    """`HEALTHY` for a closed circuit whose window is over and whose last request went well; else as it was."""
    if health.state == "closed" and not health.in_a_row and now_s - health.window_from_s >= rules.window_s:
        return HEALTHY
    return health


def after(health: Health, event: Event, now_s: float, rules: Rules) -> Health:
    """The state after an event; the very same object where the table has no row."""
    row = _TABLE.get((health.state, event))
    return health if row is None else row(health, now_s, rules)


def event_of(error: GatewayError | None) -> Event | None:
    """What an attempt's end says of its endpoint; None for nothing: a full one is not ill, our errors are ours."""
    if error is None or isinstance(error, UpstreamRejected | NotServed):
        return "succeeded"
    if isinstance(error, ConnectFailed):
        return "unreachable"
    if isinstance(error, UpstreamTimeout | UpstreamProtocol | UpstreamFailed | StreamBroken):
        return "failed"
    return None


def _counted(health: Health, now_s: float, rules: Rules, failed: int) -> Health:
    """A request's outcome in the window it falls in; a window that is over begins anew."""
    fresh = now_s - health.window_from_s >= rules.window_s
    return Health(
        in_a_row=health.in_a_row + 1 if failed else 0,
        probes_in_a_row=health.probes_in_a_row if failed else 0,
        window_from_s=now_s if fresh else health.window_from_s,
        window_total=1 if fresh else health.window_total + 1,
        window_failed=failed if fresh else health.window_failed + failed,
    )


def _count_success(health: Health, now_s: float, rules: Rules) -> Health:
    return _counted(health, now_s, rules, 0)


def _count_failure(health: Health, now_s: float, rules: Rules, *, reached: bool = True) -> Health:
    counted = _counted(health, now_s, rules, 1)
    many = counted.window_total >= rules.window_least
    if counted.in_a_row >= rules.failures_in_a_row or (
        many and counted.window_failed >= rules.window_share * counted.window_total
    ):
        return Health("open", now_s + rules.cooldown_s, rules.cooldown_s, reached)
    return counted


def _count_unreachable(health: Health, now_s: float, rules: Rules) -> Health:
    return _count_failure(health, now_s, rules, reached=False)


def _count_probe(health: Health, now_s: float, rules: Rules) -> Health:
    in_a_row = health.in_a_row + 1
    if in_a_row >= rules.failures_in_a_row:
        return Health("open", now_s + rules.cooldown_s, rules.cooldown_s, reached=False)
    return msgspec.structs.replace(health, in_a_row=in_a_row, probes_in_a_row=health.probes_in_a_row + 1)


def _forget_probes(health: Health, now_s: float, rules: Rules) -> Health:
    if not health.probes_in_a_row:
        return health
    in_a_row = health.in_a_row - health.probes_in_a_row
    return msgspec.structs.replace(health, in_a_row=in_a_row, probes_in_a_row=0)


def _begin_trial(health: Health, now_s: float, rules: Rules) -> Health:
    if now_s < health.until_s:
        return health
    return Health("half_open", now_s + rules.trial_s, health.cooldown_s, health.reached)


def _close(health: Health, now_s: float, rules: Rules) -> Health:
    return HEALTHY


def _open_longer(health: Health, now_s: float, rules: Rules, *, reached: bool = True) -> Health:
    cooldown_s = min(rules.cooldown_most_s, health.cooldown_s * rules.cooldown_growth)
    return Health("open", now_s + cooldown_s, cooldown_s, reached)


def _open_longer_unreachable(health: Health, now_s: float, rules: Rules) -> Health:
    return _open_longer(health, now_s, rules, reached=False)


def _open_for_next(health: Health, now_s: float, rules: Rules) -> Health:
    return Health("open", now_s, health.cooldown_s, health.reached)


def _end_cooldown(health: Health, now_s: float, rules: Rules) -> Health:
    if health.reached or health.until_s <= now_s:
        return health
    return Health("open", now_s, health.cooldown_s, reached=False)


_TABLE: Final[Mapping[tuple[State, Event], Callable[[Health, float, Rules], Health]]] = {
    ("closed", "succeeded"): _count_success,
    ("closed", "failed"): _count_failure,
    ("closed", "unreachable"): _count_unreachable,
    ("closed", "probe_failed"): _count_probe,
    ("closed", "probe_ok"): _forget_probes,
    ("open", "admitted"): _begin_trial,
    ("open", "probe_ok"): _end_cooldown,
    ("half_open", "admitted"): _begin_trial,
    ("half_open", "succeeded"): _close,
    ("half_open", "failed"): _open_longer,
    ("half_open", "unreachable"): _open_longer_unreachable,
    ("half_open", "probe_failed"): _open_longer_unreachable,
    ("half_open", "abandoned"): _open_for_next,
}
