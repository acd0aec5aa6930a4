"""What would be decided over a call that is not sent, in words: the functions of the path, without what runs. Pure.

What meters have used by now, and how much each endpoint has to do, is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.config.model import Servers
from gateway.config.snapshot import ModelRoute, Snapshot
from gateway.config.snapshot_callers import Caller
from gateway.config.snapshot_meters import Meter
from gateway.config.units_money import QUANTITIES, cap_text, money_text
from gateway.errors import ConfigError, GatewayError
from gateway.policy import bounds, resolve
from gateway.policy.explain import Step, priced
from gateway.policy.leases import Bundle
from gateway.policy.meters import Asker, meters_of
from gateway.policy.overhead import Overhead
from gateway.policy.resolve import Plan
from gateway.policy.terms import Terms
from gateway.wire.call import JSON, Call, Codec

_NOBODY: Final = Asker("", "", "", "", "", "")


def steps(snapshot: Snapshot, key: str, body: bytes, codec: Codec) -> list[Step]:
    """The decisions in their order, to the first that refuses. Raises ConfigError where the key is not one."""
    caller = _caller(snapshot, key)
    found = [Step("who", [f"tenant {caller.tenant.name}, key {caller.key}", *_projects(caller)])]
    try:
        call = codec.parse(body, JSON)
        plan = resolve.plan(snapshot, caller, call)
        if snapshot.money:
            plan = resolve.priced(plan)
        found.append(Step("model", list(_routes(call, plan))))
        found.append(Step("price", list(priced(plan.routes[0].price))))
        found.append(Step("held", [_needs(snapshot, call, plan)]))
    except GatewayError as error:
        return [*found, Step("refused", [f"{error.status} {error.code}: {error.message}"])]
    meters = [_meter(each) for each in meters_of(snapshot, caller, _project(caller), call.alias)]
    found.append(Step("meters", meters or ["none counts it"]))
    chain = snapshot.chain_of(caller, call.alias, plan.routes)
    found.append(Step("checks", ["none"] if chain is None else [f"chain {chain.name}"]))
    found += [Step(f"route {number}", list(_route(snapshot, route))) for number, route in enumerate(plan.routes, 1)]
    return found


def _caller(snapshot: Snapshot, key: str) -> Caller:
    """The key of this name: `TENANT/KEY`, or the only one called so."""
    callers = {f"{caller.tenant.name}/{caller.key}": caller for caller in snapshot.keys.values()}
    if key in callers:
        return callers[key]
    found = sorted(name for name in callers if name.endswith(f"/{key}"))
    if len(found) == 1:
        return callers[found[0]]
    if found:
        raise ConfigError(f"--as: several keys are called {key}: say one of {', '.join(found[:10])}")
    raise ConfigError(
        f"--as: there is no key {key}: say TENANT/KEY, such as {min(callers, default='(there are none)')}"
    )


def _projects(caller: Caller) -> Iterator[str]:
    if len(caller.projects) > 1:
        yield f"must name one of its projects in a header: {', '.join(caller.projects)}"
    elif caller.projects:
        yield f"booked to {caller.projects[0]}"


def _project(caller: Caller) -> str:
    return caller.projects[0] if len(caller.projects) == 1 else ""


def _routes(call: Call, plan: Plan) -> Iterator[str]:
    first, *others = plan.routes
    yield f"{call.alias}: backend {first.backend}, which calls it {first.served_model}"
    if others:
        yield f"should it fail: {', '.join(route.alias for route in others)}"


def _needs(snapshot: Snapshot, call: Call, plan: Plan) -> str:
    route = plan.routes[0]
    given = bounds.input_tokens(call, route.image_tokens, Overhead())
    made = bounds.output_tokens(call, route.max_output)
    terms = Terms(_NOBODY, Bundle(()), 0, 0, plan, frozenset(), money=snapshot.money)
    nanos = f", {money_text(terms.needs(given, made)[4])}" if snapshot.money else ""
    return f"at most {given:,} input and {made:,} output tokens{nanos}"


def _meter(meter: Meter) -> str:
    window = meter.window
    span = {"none": " at a time", "lifetime": " ever", "rolling": f" in {window.seconds} s"}.get(window.kind)
    per = f" for each {meter.per}" if meter.per else ""
    told = [
        f"{'downgrade to ' + each.model if each.model else each.action} at {each.permille / 10:g}%" for each in meter.at
    ]
    amount = cap_text(f"{meter.stated_cap} {QUANTITIES[meter.quantity]}")
    span = f" a {window.kind} in {window.zone}" if span is None else span
    return f"the {meter.level}'s {amount}{span}{per}" + (f" ({', '.join(told)})" if told else "")


def _route(snapshot: Snapshot, route: ModelRoute) -> Iterator[str]:
    backend = snapshot.backends.get(route.backend)
    if isinstance(backend, Servers):
        ends = [f"{end.url}{' (drained)' if end.drained else ''}" for end in backend.endpoints]
        how = "the least loaded, or the one with the conversation's cache, of " if len(ends) > 1 else ""
        yield f"{route.alias}: {how}{', '.join(ends)}"
    else:
        yield f"{route.alias}: {route.backend}, which the gateway runs"
