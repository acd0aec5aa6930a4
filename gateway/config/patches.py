"""What changed between two configurations, where that is only tenants, their projects and keys, and drained endpoints:
small beside a whole configuration, and quick to put in force. Pure.

How a patch is archived is in `archive`, what it does to a snapshot in `snapshot.patched`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway.config.model import Backend, Config, Key, Servers, Tenant
from gateway.config.model_content import Content
from gateway.config.model_meters import Meters, Project

T = TypeVar("T")


class Rules(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A tenant without its projects and keys."""

    models: tuple[str, ...]
    meters: Meters = ()
    chain: str | None = None
    content: Content | None = None


class TenantPatch(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What changed of one tenant: each project and key that did, as it is now; None: it is gone."""

    anew: bool = False
    """The tenant was not there before, or nothing of what it was is left."""
    rules: Rules | None = None
    """None: as they were."""
    projects: dict[str, Project | None] = {}
    keys: dict[str, Key | None] = {}


class Changes(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What changed of a configuration. Falsy when nothing did."""

    tenants: dict[str, TenantPatch | None] = {}
    """None: the tenant is gone."""
    drained: dict[str, tuple[bool, ...]] = {}
    """By backend, whether each endpoint is drained."""

    def __bool__(self) -> bool:
        return bool(self.tenants or self.drained)

    @property
    def size(self) -> int:
        """How many things changed."""
        of_tenants = (1 if each is None else 1 + len(each.projects) + len(each.keys) for each in self.tenants.values())
        return len(self.drained) + sum(of_tenants)


def between(old: Config, new: Config, names: Iterable[str] | None = None) -> Changes | None:
    """What makes `new` of `old`; None where something else changed too. `names`: the only tenants that may differ; all
    may when left out."""
    drained = _drained(old.backends, new.backends)
    if drained is None or any(
        getattr(old, name) != getattr(new, name) for name in Config.__struct_fields__ if name not in _PATCHED
    ):
        return None
    tenants = {}
    for name in {**old.tenants, **new.tenants} if names is None else names:
        before, after = old.tenants.get(name), new.tenants.get(name)
        if before is after:
            continue
        found = None if after is None else _tenant_between(before, after)
        if found != _SAME:
            tenants[name] = found
    return Changes(tenants, drained)


_PATCHED = ("tenants", "backends")
_SAME = TenantPatch()


def _tenant_between(old: Tenant | None, new: Tenant) -> TenantPatch:
    rules = _rules(new)
    if old is None:
        return TenantPatch(True, rules, {**new.projects}, {**new.keys})
    return TenantPatch(
        rules=None if _rules(old) == rules else rules,
        projects=_entries_between(old.projects, new.projects),
        keys=_entries_between(old.keys, new.keys),
    )


def _rules(tenant: Tenant) -> Rules:
    return Rules(tenant.models, tenant.meters, tenant.chain, tenant.content)


def _entries_between(old: Mapping[str, T], new: Mapping[str, T]) -> dict[str, T | None]:
    if old is new:
        return {}
    found: dict[str, T | None] = {
        name: entry for name, entry in new.items() if (there := old.get(name)) is not entry and there != entry
    }
    if len(new) != len(old) + sum(name not in old for name in found):
        found |= dict.fromkeys(old.keys() - new.keys())
    return found


def _drained(old: Mapping[str, Backend], new: Mapping[str, Backend]) -> dict[str, tuple[bool, ...]] | None:
    """The backends of which other endpoints are drained; None where anything else of them changed."""
    found = {}
    for name, backend in new.items():
        before = old.get(name)
        if before == backend:
            continue
        if not isinstance(backend, Servers):
            return None
        drained = tuple(endpoint.drained for endpoint in backend.endpoints)
        if not isinstance(before, Servers) or with_drained(before, drained) != backend:
            return None
        found[name] = drained
    return found if old.keys() == new.keys() else None


def with_drained(backend: Backend, drained: tuple[bool, ...]) -> Backend:
    """The backend with these endpoints drained and no others; as it is where it does not have so many."""
    if not isinstance(backend, Servers) or len(backend.endpoints) != len(drained):
        return backend
    endpoints = tuple(
        msgspec.structs.replace(endpoint, drained=each)
        for endpoint, each in zip(backend.endpoints, drained, strict=True)
    )
    return msgspec.structs.replace(backend, endpoints=endpoints)


def changed(config: Config, changes: Changes) -> Config:
    """The configuration with the changes made: `changed(old, between(old, new)) == new`. Entries that did not change
    are the very same. Raises KeyError for changes of a tenant or backend that is not there."""
    tenants, backends = dict(config.tenants), dict(config.backends)
    for name, patch in changes.tenants.items():
        if patch is None:
            tenants.pop(name, None)
        else:
            tenants[name] = _changed_tenant(None if patch.anew else tenants[name], patch)
    for name, drained in changes.drained.items():
        backends[name] = with_drained(backends[name], drained)
    return msgspec.structs.replace(config, tenants=tenants, backends=backends)


def _changed_tenant(tenant: Tenant | None, patch: TenantPatch) -> Tenant:
    old = tenant or Tenant(models=())
    rules = patch.rules or _rules(old)
    return Tenant(
        models=rules.models,
        meters=rules.meters,
        chain=rules.chain,
        content=rules.content,
        projects=_changed_entries(old.projects, patch.projects),
        keys=_changed_entries(old.keys, patch.keys),
    )


def _changed_entries(entries: dict[str, T], changes: Mapping[str, T | None]) -> dict[str, T]:
    if not changes:
        return entries
    found = dict(entries)
    for name, entry in changes.items():
        if entry is None:
            found.pop(name, None)
        else:
            found[name] = entry
    return found


def together(first: Changes, second: Changes) -> Changes:
    """Both, one after the other: the second's word counts. It does the same to what the first was made to already."""
    tenants = dict(first.tenants)
    for name, later in second.tenants.items():
        earlier = tenants.get(name)
        tenants[name] = later if later is None or later.anew or earlier is None else _tenant_together(earlier, later)
    return Changes(tenants, first.drained | second.drained)


def _tenant_together(first: TenantPatch, second: TenantPatch) -> TenantPatch:
    return TenantPatch(
        anew=first.anew,
        rules=second.rules or first.rules,
        projects=first.projects | second.projects,
        keys=first.keys | second.keys,
    )


def touched(tenant: Tenant, patch: TenantPatch | None) -> Tenant:
    """The tenant with only those of its projects and keys that are changed; with all where it comes or goes."""
    if patch is None or patch.anew:
        return tenant
    projects = {name: tenant.projects[name] for name in patch.projects if name in tenant.projects}
    keys = {name: tenant.keys[name] for name in patch.keys if name in tenant.keys}
    return msgspec.structs.replace(tenant, projects=projects, keys=keys)
