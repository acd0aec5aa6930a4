"""`Config` to `Snapshot`: everything a request looks up, one dictionary access away. Pure.

A snapshot never changes; a reload makes another one and swaps the reference, and a request keeps the one it began with.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec import Struct

from gateway.config import patches
from gateway.config.model import V2, Backend, Column, Config, Limits, Model, Onnx, Retries, Version
from gateway.config.patches import Changes
from gateway.config.review import fallbacks
from gateway.config.snapshot_callers import Caller, Shared, callers_of, patched_callers
from gateway.config.snapshot_chains import Resolved
from gateway.config.snapshot_meters import (
    Meter,
    Meters,
    Price,
    Tally,
    has_prices,
    price_of,
    sections,
    sections_of,
    tally,
)
from gateway.wire import trace_ids

if TYPE_CHECKING:
    from guardrails.chain import Chain


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
    chain: str | None = None
    """The name of its chain of checks."""


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
    judges: bool = False
    """A check asks it what it makes of texts."""


class ClassicModel(Struct, frozen=True, eq=False):
    """An alias that the gateway itself runs. `versions` goes from the lowest to the highest, which is the `default`."""

    alias: str
    versions: dict[str, ClassicVersion]
    default: str
    price: Price | None = None
    meters: tuple[Meter, ...] = ()
    chain: str | None = None
    """The name of its chain of checks."""


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
    tally: Tally = Tally()
    """How many sections have meters: for the next patch."""
    shared: Shared = msgspec.field(default_factory=Shared)
    """What equal sections were compiled to: for the next patch."""
    chains: Resolved | None = None
    """None where the configuration has no chains."""
    keeps_content: bool = False
    """Whether a tenant's policy may ask to keep what is said."""
    traces: str | None = None
    """Which traces without a caller's are sampled (`wire.trace_ids.below`); None where no spans are sent."""

    def models_of(self, caller: Caller) -> list[str]:
        """The aliases that exist and that the caller may use, sorted."""
        least = caller.tenant.models if caller.models is None else caller.models
        if least.patterns is None:
            known = (alias for alias in least.exact if alias in self.models or alias in self.classic)
            return sorted(alias for alias in known if caller.allows(alias))
        return [alias for alias in self.aliases if caller.allows(alias)]

    def chain_of(self, caller: Caller, alias: str, routes: Iterable[ModelRoute]) -> Chain | None:
        """The checks of what this caller asks of this model and these may answer (none, of a model that runs here): the
        key's or tenant's chain, that of the model asked for, and those of all that may answer in its place, so that
        none of them is less checked. None for none."""
        if self.chains is None:
            return None
        asked = self.models.get(alias) or self.classic.get(alias)
        chains = (route.chain for route in routes)
        return self.chains.of(caller.chain, None if asked is None else asked.chain, *chains)

    def make_chains(self) -> None:
        """Makes all chains that a request can need. Without it the first request that needs one makes it, which
        takes some tenths of a second."""
        if self.chains is not None:
            callers = (caller.chain for caller in self.keys.values())
            routes = ((route, *route.fallback) for route in self.models.values())
            served = (tuple(each.chain for each in found) for found in routes)
            self.chains.make(callers, (*served, *((model.chain,) for model in self.classic.values())))

    def is_classic(self, alias: str) -> bool:
        """Whether the model is asked under /v2: it runs in the gateway, or behind a server of that protocol."""
        route = self.models.get(alias)
        return alias in self.classic if route is None else isinstance(self.backends.get(route.backend), V2)


def compile(config: Config, digest: str) -> Snapshot:  # noqa: A001 - read as snapshot.compile
    """The snapshot of a valid configuration (see `review.problems`)."""
    collecting = gc.isenabled()
    gc.disable()  # a hundred thousand new objects and no garbage: collecting would only take time
    try:
        shared = Shared()
        counted = tally(entries for _, _, entries in sections(config))
        money = has_prices(config) or counted.money > 0
        return Snapshot(
            digest=digest,
            config=config,
            keys=callers_of(config.tenants, shared),
            models=_routes(config, shared.meters),
            classic=classic_of(config, shared.meters),
            backends=config.backends,
            limits=config.server.limits,
            retries=config.server.retries,
            aliases=tuple(sorted(config.models)),
            meters=shared.meters.of("gateway", config.meters),
            money=money,
            metered=money or counted.metered > 0,
            tally=counted,
            shared=shared,
            chains=Resolved(config.chains) if config.chains else None,
            keeps_content=any(tenant.content is not None for tenant in config.tenants.values()),
            traces=None if config.telemetry.otlp is None else trace_ids.below(config.telemetry.otlp.sample),
        )
    finally:
        if collecting:
            gc.enable()


def patched(old: Snapshot, changes: Changes, digest: str) -> Snapshot:
    """What `compile` would make of `patches.changed(old.config, changes)`, for the cost of what changed (and of copying
    a dictionary of all keys). Raises KeyError as that does."""
    config = patches.changed(old.config, changes)
    counted = old.tally + _touched(config, changes) - _touched(old.config, changes)
    money = has_prices(config) or counted.money > 0
    return msgspec.structs.replace(
        old,
        digest=digest,
        config=config,
        keys=patched_callers(old.keys, old.config.tenants, config.tenants, changes, old.shared),
        backends=config.backends,
        money=money,
        metered=money or counted.metered > 0,
        tally=counted,
        keeps_content=old.keeps_content or _begins_to_keep(config, changes),
    )


def _begins_to_keep(config: Config, changes: Changes) -> bool:
    """Whether a tenant that changed asks to keep what is said."""
    tenants = (config.tenants.get(name) for name in changes.tenants)
    return any(tenant is not None and tenant.content is not None for tenant in tenants)


def _touched(config: Config, changes: Changes) -> Tally:
    """The tally of the sections that are changed, as they are in this configuration."""
    tenants = ((config.tenants.get(name), patch) for name, patch in changes.tenants.items())
    found = (patches.touched(tenant, patch) for tenant, patch in tenants if tenant is not None)
    return tally(entries for tenant in found for _, _, entries in sections_of("", tenant))


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
            chain=model.chain,
        )
    routes = {}
    for alias, model in models.items():
        chain = tuple(bare[name] for name in fallbacks(config, alias)) if model.fallback else ()
        routes[alias] = msgspec.structs.replace(bare[alias], fallback=chain) if chain else bare[alias]
    return routes


def classic_of(config: Config, meters: Meters | None = None) -> dict[str, ClassicModel]:
    """The models that run in the gateway, by alias."""
    known = meters or Meters()
    asked = {
        entry.get("target") for entries in config.chains.values() for entry in entries if entry.get("check") == "model"
    }
    return {
        alias: _classic(alias, model, known, judges=alias in asked)
        for alias, model in config.models.items()
        if isinstance(model, Onnx)
    }


def _classic(alias: str, model: Onnx, meters: Meters, *, judges: bool) -> ClassicModel:
    versions = {}
    for name in sorted(model.versions, key=version_order):
        written = model.versions[name]
        version = written if isinstance(written, Version) else Version(path=written)
        columns = version.schema or model.schema
        versions[name] = ClassicVersion(alias, name, version.path, version.digest or "", columns)
    if judges:  # the version that is asked where none is named
        versions[name] = msgspec.structs.replace(versions[name], judges=True)
    own = meters.of("model", model.meters)
    return ClassicModel(alias, versions, next(reversed(versions)), price_of(model), own, model.chain)


def version_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts versions as one counts: 2 before 10, 3.9 before 3.10, a word before a number."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
