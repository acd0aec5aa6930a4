"""Who may ask, as the data plane looks it up: part of the snapshot. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from gateway.config.globs import compile_globs
from gateway.config.model import Key, Tenant
from gateway.config.model_content import Content
from gateway.config.patches import Changes, TenantPatch, touched
from gateway.config.snapshot_meters import Meter, Meters


class Aliases(Struct, frozen=True, eq=False):
    """Aliases by name and by pattern."""

    exact: frozenset[str]
    patterns: re.Pattern[str] | None

    def allows(self, alias: str) -> bool:
        """Whether this alias (which need not exist) is one of them."""
        return alias in self.exact or (self.patterns is not None and self.patterns.fullmatch(alias) is not None)


class TenantRules(Struct, frozen=True, eq=False):
    """A tenant and the aliases it may use."""

    name: str
    models: Aliases
    meters: tuple[Meter, ...] = ()
    projects: Mapping[str, tuple[Meter, ...]] = {}
    """The meters of each project."""
    chain: str | None = None
    content: Content | None = None
    """What is kept of what is said; None: nothing."""


class Caller(Struct, frozen=True, eq=False, gc=False):
    """Who asks: a tenant and the name of one of its keys. `expires_ns` is wall time (nanoseconds since 1970 UTC),
    None for never; at that instant the key is no longer valid. `projects` are those the key may work for."""

    tenant: TenantRules
    key: str
    expires_ns: int | None
    meters: tuple[Meter, ...] = ()
    projects: tuple[str, ...] = ()
    models: Aliases | None = None
    """What the key may use of what the tenant may; None for all of it."""
    chain: str | None = None
    """The name of the chain of checks for what it asks: the key's, else the tenant's."""

    def allows(self, alias: str) -> bool:
        """Whether this caller may ask for this alias (which need not exist)."""
        return self.tenant.models.allows(alias) and (self.models is None or self.models.allows(alias))


class Shared:
    """What sections that are written alike are compiled to: once, for a snapshot and those patched from it."""

    def __init__(self) -> None:
        self.meters = Meters()
        self._aliases: dict[tuple[str, ...], Aliases] = {}

    def aliases(self, written: tuple[str, ...]) -> Aliases:
        """The compiled form of a list of aliases and patterns."""
        found = self._aliases.get(written)
        if found is None:
            exact = frozenset(pattern for pattern in written if "*" not in pattern)
            patterns = compile_globs(pattern for pattern in written if "*" in pattern)
            found = self._aliases[written] = Aliases(exact, patterns)
        return found


def callers_of(tenants: Mapping[str, Tenant], shared: Shared) -> dict[bytes, Caller]:
    """All callers, by the SHA-256 of their secrets."""
    callers: dict[bytes, Caller] = {}
    for name, tenant in tenants.items():
        _add(callers, _rules(name, tenant, shared), tenant.keys.items(), shared)
    return callers


def patched_callers(
    callers: Mapping[bytes, Caller],
    before: Mapping[str, Tenant],
    after: Mapping[str, Tenant],
    changes: Changes,
    shared: Shared,
) -> dict[bytes, Caller]:
    """The callers of `after`, with those of `before` that did not change."""
    found = dict(callers)
    for name, patch in changes.tenants.items():  # first all that are no more: a hash may have moved to another key
        for key in _changed_keys(before.get(name), patch).values():
            for digest in key.digests:
                found.pop(digest, None)
    for name, patch in changes.tenants.items():
        tenant = after.get(name)
        if tenant is not None:
            rules = None if _all_of(patch) else _known_rules(callers, before[name])
            _add(found, rules or _rules(name, tenant, shared), _changed_keys(tenant, patch).items(), shared)
    return found


def _all_of(patch: TenantPatch | None) -> bool:
    """Whether every caller of the tenant changes: each holds its rules."""
    return patch is None or patch.anew or patch.rules is not None or bool(patch.projects)


def _changed_keys(tenant: Tenant | None, patch: TenantPatch | None) -> Mapping[str, Key]:
    """The keys of the tenant whose callers change."""
    if tenant is None:
        return {}
    if patch is None or _all_of(patch):
        return tenant.keys
    return touched(tenant, patch).keys


def _known_rules(callers: Mapping[bytes, Caller], tenant: Tenant) -> TenantRules | None:
    key = next(iter(tenant.keys.values()), None)
    return None if key is None else callers[key.digest].tenant


def _rules(name: str, tenant: Tenant, shared: Shared) -> TenantRules:
    projects = {project: shared.meters.of("project", each.meters) for project, each in tenant.projects.items()}
    meters = shared.meters.of("tenant", tenant.meters)
    return TenantRules(name, shared.aliases(tenant.models), meters, projects, tenant.chain, tenant.content)


def _add(callers: dict[bytes, Caller], rules: TenantRules, keys: Iterable[tuple[str, Key]], shared: Shared) -> None:
    meters_of, aliases = shared.meters.of, shared.aliases
    for name, key in keys:
        models = aliases(key.models) if key.models else None
        ends_ns, meters, chain = _ns(key.expires_s), meters_of("key", key.meters), key.chain or rules.chain
        caller = Caller(rules, name, ends_ns, meters, key.projects, models, chain)
        callers[key.digest] = caller
        if key.previous is not None:  # the same caller by the secret it had before, which ends sooner
            ends = [end for end in (caller.expires_ns, _ns(key.previous.expires_s)) if end is not None]
            callers[key.previous.digest] = msgspec.structs.replace(caller, expires_ns=min(ends))


def _ns(at_s: int | None) -> int | None:
    return None if at_s is None else at_s * 1_000_000_000
