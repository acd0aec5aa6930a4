"""From the model a caller names to the routes that may serve the request, in order."""

from __future__ import annotations

import msgspec

from gateway.config.snapshot import Caller, ModelRoute, Snapshot
from gateway.errors import ModelNotFound
from gateway.wire.body import shown
from gateway.wire.call import Call


class Plan(msgspec.Struct, frozen=True, gc=False):
    """What will be tried for one request."""

    alias: str
    routes: tuple[ModelRoute, ...]
    """The model's own route, then its fallbacks in the configuration's order."""
    reason: str
    """"direct" when there is only one, else "with_fallbacks"."""


def plan(snapshot: Snapshot, caller: Caller, call: Call) -> Plan:
    """The routes of the model asked for. Raises ModelNotFound, the same for a model that does not exist and one the
    tenant may not use.

    A fallback is the operator's choice for this alias: the tenant needs no permission of its own for it.
    """
    route = route_of(snapshot, caller, call.alias)
    if route.fallback:
        return Plan(call.alias, (route, *route.fallback), "with_fallbacks")
    return Plan(call.alias, (route,), "direct")


def route_of(snapshot: Snapshot, caller: Caller, alias: str) -> ModelRoute:
    """The route of one alias, if this caller may know of it. Raises ModelNotFound."""
    allowed = caller.tenant.allows(alias)  # asked in either case: the two refusals take the same time
    route = snapshot.models.get(alias)
    if route is None or not allowed:
        raise ModelNotFound(f"the model {shown(alias)} does not exist, or this key may not use it", param="model")
    return route
