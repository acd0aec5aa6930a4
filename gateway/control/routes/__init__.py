"""The paths of the administration, a file for each resource: what is sent there, what is answered, and who may ask.

Each file has a class whose methods are the routes (FastAPI reads their signatures) and a `router` that says which path
leads to which. They turn a request into a call of a use case and its answer into a response, and decide nothing.
"""

from __future__ import annotations

from fastapi import APIRouter

from gateway.control.backends import Backends
from gateway.control.changes import Changes
from gateway.control.checking import Checking
from gateway.control.entries import Entries
from gateway.control.keys import Keys
from gateway.control.meters import MeterUses
from gateway.control.principals import Principals
from gateway.control.routes import (
    backends,
    changes,
    checks,
    keys,
    meters,
    models,
    principals,
    projects,
    snapshots,
    tenants,
)
from gateway.control.service import Service
from gateway.control.snapshots import Snapshots


def routers(service: Service) -> tuple[APIRouter, ...]:
    """All that is behind a gate, in the order of the manual."""
    entries = Entries(service)
    standing = Backends(service)
    return (
        tenants.router(entries),
        projects.router(entries),
        keys.router(entries, Keys(service, entries)),
        meters.router(MeterUses(service, entries)),
        models.router(standing),
        backends.router(standing),
        snapshots.router(Snapshots(service)),
        checks.router(Checking(service)),
        principals.router(Principals(service)),
        changes.router(Changes(service)),
    )
