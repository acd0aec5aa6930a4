"""From the model a caller names to the routes that may serve the request, in order."""

from __future__ import annotations

from typing import Final

from gateway.config.snapshot import ClassicVersion, ModelRoute, Snapshot
from gateway.config.snapshot_callers import Caller
from gateway.errors import ModelNotFound, NotPriced, NotServed
from gateway.wire.body import shown
from gateway.wire.call import Call


class Plan:
    """What will be tried for one request."""

    __slots__ = ("alias", "reason", "routes")

    def __init__(self, alias: str, routes: tuple[ModelRoute, ...], reason: str) -> None:
        self.alias: Final = alias
        self.routes: Final = routes
        """The model's own route, then its fallbacks in the configuration's order."""
        self.reason: Final = reason
        """"direct" when there is only one, else "with_fallbacks"."""


def plan(snapshot: Snapshot, caller: Caller, call: Call) -> Plan:
    """The routes of the model asked for. Raises ModelNotFound, the same for a model that does not exist and one the
    caller may not use.

    A fallback is the operator's choice for this alias: the tenant needs no permission of its own for it.
    """
    route = route_of(snapshot, caller, call.alias)
    if route.fallback:
        return Plan(call.alias, (route, *route.fallback), "with_fallbacks")
    return Plan(call.alias, (route,), "direct")


def route_of(snapshot: Snapshot, caller: Caller, alias: str) -> ModelRoute:
    """The route of one alias, if this caller may know of it. Raises ModelNotFound; NotServed for a classic model, to
    which no route leads.
    """
    allowed = caller.allows(alias)  # asked in either case: the two refusals take the same time
    route = snapshot.models.get(alias)
    if route is None and allowed and alias in snapshot.classic:
        raise NotServed("this model is a classic one: it is asked at /v2/models/{name}/infer", param="model")
    if route is None or not allowed:
        raise _not_found(alias)
    return route


def known(snapshot: Snapshot, caller: Caller, alias: str) -> str:
    """The alias, of either kind, if this caller may know of it. Raises ModelNotFound."""
    if not caller.allows(alias) or not (alias in snapshot.models or alias in snapshot.classic):
        raise _not_found(alias)
    return alias


def version_of(snapshot: Snapshot, caller: Caller, alias: str, version: str) -> ClassicVersion | None:
    """The version of a classic model, by default (`version` is "") its highest; None where a backend serves the alias.
    Raises ModelNotFound, the same for what does not exist and what this caller may not use.
    """
    allowed = caller.allows(alias)
    model = snapshot.classic.get(alias)
    if not allowed or (model is None and alias not in snapshot.models):
        raise _not_found(alias)
    if model is None:
        return None
    found = model.versions.get(version or model.default)
    if found is None:
        known = ", ".join(model.versions)
        raise ModelNotFound(f"the model {alias} has no version {shown(version)}; it has {known}", param="version")
    return found


def _not_found(alias: str) -> ModelNotFound:
    return ModelNotFound(f"the model {shown(alias)} does not exist, or this key may not use it", param="model")


def priced(plan: Plan) -> Plan:
    """The plan without routes whose price nobody knows: a fallback serves nobody for nothing. Raises NotPriced."""
    if plan.routes[0].price is None:
        raise not_priced(plan.routes[0].alias)
    if all(route.price is not None for route in plan.routes):
        return plan
    return Plan(plan.alias, tuple(route for route in plan.routes if route.price is not None), plan.reason)


def not_priced(alias: str) -> NotPriced:
    """What a model without a price is refused with, once money is counted."""
    return NotPriced(f"the model {shown(alias)} has no price yet: its operator must give it one", param="model")
