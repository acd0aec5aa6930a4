"""`Config` to `Snapshot`: everything a request looks up, one dictionary access away. Pure.

A snapshot never changes; a reload makes another one and swaps the reference, and a request keeps the one it began with.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Mapping
from typing import TypeAlias

import msgspec
from msgspec import Struct

from gateway.config.globs import compile_globs
from gateway.config.model import V2, Backend, Column, Config, Limits, Model, Onnx, PreviousKey, Retries, Version
from gateway.config.review import fallbacks
from gateway.config.snapshot_meters import Meter, Meters, Price, counts_money, price_of, sections


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

    def allows(self, alias: str) -> bool:
        """Whether this caller may ask for this alias (which need not exist)."""
        return self.tenant.models.allows(alias) and (self.models is None or self.models.allows(alias))


class ModelRoute(Struct, frozen=True, eq=False):
    """Where an alias leads. `served_model_json` is the name as JSON bytes, quotes included, ready to be put into a
    body.

    `fallback` is the whole chain in the order of trying, each model once; the routes in it have an empty one
    themselves.
    """

    alias: str
    backend: str
    served_model: str
    served_model_json: bytes
    fallback: tuple[ModelRoute, ...] = ()
    price: Price | None = None
    """None where the configuration names none."""
    max_output: int = 16_384
    """The most tokens it can put out where the caller sets no limit."""
    image_tokens: int = 8_192
    """The most tokens it makes of one image."""
    meters: tuple[Meter, ...] = ()


class ClassicVersion(Struct, frozen=True):
    """One version of a classic model: what to load. Equal ones may share a loaded session.

    `path` is as configured, `digest` is `sha256:…` over what it held when the configuration was loaded (empty in a
    configuration that was not pinned, see `backends.model_files`).
    """

    alias: str
    version: str
    path: str
    digest: str
    columns: dict[str, Column]


class ClassicModel(Struct, frozen=True, eq=False):
    """An alias that the gateway itself runs. `versions` goes from the lowest to the highest, which is the `default`."""

    alias: str
    versions: dict[str, ClassicVersion]
    default: str
    price: Price | None = None
    meters: tuple[Meter, ...] = ()


Keys: TypeAlias = Mapping[bytes, Caller]


class Snapshot(Struct, frozen=True, eq=False):
    """The configuration as the data plane reads it. `digest` is the SHA-256 (hex) of the archived blob that it was
    compiled from."""

    digest: str
    config: Config
    keys: dict[bytes, Caller]
    """By the 32-byte SHA-256 of the secret; a key that was rotated is there twice for a while."""
    models: dict[str, ModelRoute]
    """The models that backends serve."""
    classic: dict[str, ClassicModel]
    """The models that run in the gateway; no alias is in both."""
    backends: dict[str, Backend]
    limits: Limits
    retries: Retries
    aliases: tuple[str, ...]
    """All aliases, sorted."""
    meters: tuple[Meter, ...] = ()
    """Those of the whole gateway."""
    money: bool = False
    """Whether charges are counted: a price is named or money is capped. A model without a price is refused then."""
    metered: bool = False
    """Whether there is any meter or price at all."""

    def models_of(self, caller: Caller) -> list[str]:
        """The aliases that exist and that the caller may use, sorted."""
        least = caller.tenant.models if caller.models is None else caller.models
        if least.patterns is None:
            known = (alias for alias in least.exact if alias in self.models or alias in self.classic)
            return sorted(alias for alias in known if caller.allows(alias))
        return [alias for alias in self.aliases if caller.allows(alias)]

    def is_classic(self, alias: str) -> bool:
        """Whether the model is asked under /v2: it runs in the gateway, or behind a server of that protocol."""
        route = self.models.get(alias)
        return alias in self.classic if route is None else isinstance(self.backends.get(route.backend), V2)


def compile(config: Config, digest: str) -> Snapshot:  # noqa: A001 - read as snapshot.compile
    """The snapshot of a valid configuration (see `review.problems`)."""
    collecting = gc.isenabled()
    gc.disable()  # a hundred thousand new objects and no garbage: collecting would only take time
    try:
        meters = Meters()
        money = counts_money(config)
        return Snapshot(
            digest=digest,
            config=config,
            keys=_keys(config, meters),
            models=_routes(config, meters),
            classic=classic_of(config, meters),
            backends=config.backends,
            limits=config.server.limits,
            retries=config.server.retries,
            aliases=tuple(sorted(config.models)),
            meters=meters.of("gateway", config.meters),
            money=money,
            metered=money or any(entries for _, _, entries in sections(config)),
        )
    finally:
        if collecting:
            gc.enable()


def _keys(config: Config, meters: Meters) -> dict[bytes, Caller]:
    aliases = _AliasSets()
    callers: dict[bytes, Caller] = {}
    for name, tenant in config.tenants.items():
        projects = {project: meters.of("project", each.meters) for project, each in tenant.projects.items()}
        rules = TenantRules(name, aliases.of(tenant.models), meters.of("tenant", tenant.meters), projects)
        for key_name, key in tenant.keys.items():
            own = meters.of("key", key.meters)
            models = aliases.of(key.models) if key.models else None
            caller = Caller(rules, key_name, _ns(key.expires_s), own, key.projects, models)
            callers[key.digest] = caller
            if key.previous is not None:
                callers[key.previous.digest] = _before(caller, key.previous)
    return callers


def _before(caller: Caller, previous: PreviousKey) -> Caller:
    """The same caller by the secret it had before, which ends sooner."""
    ends = [end for end in (caller.expires_ns, _ns(previous.expires_s)) if end is not None]
    return msgspec.structs.replace(caller, expires_ns=min(ends))


def _ns(at_s: int | None) -> int | None:
    return None if at_s is None else at_s * 1_000_000_000


class _AliasSets:
    """Compiles lists of aliases, equal ones once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Aliases] = {}

    def of(self, written: tuple[str, ...]) -> Aliases:
        found = self._known.get(written)
        if found is None:
            exact = frozenset(pattern for pattern in written if "*" not in pattern)
            patterns = compile_globs(pattern for pattern in written if "*" in pattern)
            found = self._known[written] = Aliases(exact, patterns)
        return found


def _routes(config: Config, meters: Meters) -> dict[str, ModelRoute]:
    encode = msgspec.json.Encoder().encode
    models = {alias: model for alias, model in config.models.items() if isinstance(model, Model)}
    bare = {}
    for alias, model in models.items():
        served = model.served_model or alias
        bare[alias] = ModelRoute(
            alias,
            model.backend,
            served,
            encode(served),
            price=price_of(model),
            max_output=model.max_output,
            image_tokens=model.image_tokens,
            meters=meters.of("model", model.meters),
        )
    routes = {}
    for alias, model in models.items():
        chain = tuple(bare[name] for name in fallbacks(config, alias)) if model.fallback else ()
        routes[alias] = msgspec.structs.replace(bare[alias], fallback=chain) if chain else bare[alias]
    return routes


def classic_of(config: Config, meters: Meters | None = None) -> dict[str, ClassicModel]:
    """The models that run in the gateway, by alias."""
    known = meters or Meters()
    return {alias: _classic(alias, model, known) for alias, model in config.models.items() if isinstance(model, Onnx)}


def _classic(alias: str, model: Onnx, meters: Meters) -> ClassicModel:
    versions = {}
    for name in sorted(model.versions, key=version_order):
        written = model.versions[name]
        version = written if isinstance(written, Version) else Version(path=written)
        columns = version.schema or model.schema
        versions[name] = ClassicVersion(alias, name, version.path, version.digest or "", columns)
    own = meters.of("model", model.meters)
    return ClassicModel(alias, versions, next(reversed(versions)), price_of(model), own)


def version_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts versions as one counts: 2 before 10, 3.9 before 3.10, a word before a number."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
