"""The paths of the administration, a file for each resource: what is sent there, what is answered, and who may ask.

Each file has a class whose methods are the routes (FastAPI reads their signatures) and a `router` that says which path
leads to which. They turn a request into a call of a use case and its answer into a response, and decide nothing.

A resource is imported when its routes are asked for: a listener has all of them, a command on the machine itself needs
one, and is done in half the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from fastapi import APIRouter

from gateway.control.service import Service

Routers = tuple[APIRouter, ...]


def routers(service: Service, resource: str | None = None) -> Routers:
    """All that is behind a gate, in the order of the manual; or only what stands under /admin/RESOURCE (nothing where
    there is no such resource)."""
    if resource is not None:
        return _RESOURCES[resource](service) if resource in _RESOURCES else ()
    made = dict.fromkeys(_RESOURCES.values())
    return tuple(router for of_resource in made for router in of_resource(service))


def _tenants(service: Service) -> Routers:
    from gateway.control.entries import Entries
    from gateway.control.erasures import Erasures
    from gateway.control.keys import Keys
    from gateway.control.routes import erasures, keys, projects, tenants

    entries = Entries(service)
    of_entries = tenants.router(entries), projects.router(entries), keys.router(entries, Keys(service, entries))
    return *of_entries, erasures.router(Erasures(service))


def _meters(service: Service) -> Routers:
    from gateway.control.entries import Entries
    from gateway.control.meters import MeterUses
    from gateway.control.routes import meters

    return (meters.router(MeterUses(service, Entries(service))),)


def _models(service: Service) -> Routers:
    from gateway.control.backends import Backends
    from gateway.control.routes import models

    return (models.router(Backends(service)),)


def _backends(service: Service) -> Routers:
    from gateway.control.backends import Backends
    from gateway.control.routes import backends

    return (backends.router(Backends(service)),)


def _snapshots(service: Service) -> Routers:
    from gateway.control.routes import snapshots
    from gateway.control.snapshots import Snapshots

    return (snapshots.router(Snapshots(service)),)


def _check(service: Service) -> Routers:
    from gateway.control.checking import Checking
    from gateway.control.routes import checks

    return (checks.router(Checking(service)),)


def _principals(service: Service) -> Routers:
    from gateway.control.principals import Principals
    from gateway.control.routes import principals

    return (principals.router(Principals(service)),)


def _changes(service: Service) -> Routers:
    from gateway.control.changes import Changes
    from gateway.control.routes import changes

    return (changes.router(Changes(service)),)


def _records(service: Service) -> Routers:
    from gateway.control.records import Records
    from gateway.control.routes import records

    return (records.router(Records(service)),)


def _traces(service: Service) -> Routers:
    from gateway.control.routes import traces
    from gateway.control.traces import Traces

    return (traces.router(Traces(service)),)


_RESOURCES: Final[Mapping[str, Callable[[Service], Routers]]] = {
    "tenants": _tenants,
    "meters": _meters,
    "models": _models,
    "backends": _backends,
    "snapshots": _snapshots,
    "check": _check,
    "principals": _principals,
    "whoami": _principals,
    "changes": _changes,
    "records": _records,
    "traces": _traces,
}
"""What makes the routes under /admin/…, by the first part of the path."""
