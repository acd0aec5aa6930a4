"""What must hold between sections: problems that stop a start, and doubts that `lockgate check` shows. Pure.

A problem is a contradiction: it could only run as a surprise. A doubt is a configuration that runs, and of which
someone tired would say "that is not what I meant".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

from gateway.config import review_chains, review_classic, review_content, review_meters, review_telemetry, units
from gateway.config.globs import compile_globs
from gateway.config.model import (
    EMBEDDED_MODELS,
    MAX_FALLBACKS,
    Backend,
    Config,
    Embedded,
    Fake,
    Model,
    Onnx,
    Provider,
    Servers,
    Tenant,
)
from gateway.config.places import Finding
from gateway.config.shape import Path, nearest

ALL_INTERFACES = ("0.0.0.0", "::")
SAME_HASH = "two keys have the same hash: one secret opens one key"


def problems(config: Config) -> Iterator[Finding]:
    """Everything for which the configuration must not run."""
    yield from _listeners(config)
    for name, backend in config.backends.items():
        yield from _backend(("backends", name), backend)
    yield from _models(config)
    for alias, model in config.models.items():
        if isinstance(model, Onnx):
            yield from review_classic.problems(("models", alias), model)
    yield from review_meters.problems(config)
    yield from review_chains.problems(config)
    yield from review_content.problems(config)
    yield from review_telemetry.problems(config)
    yield from _duplicate_keys(config)


def doubts(config: Config, now_s: float) -> Iterator[Finding]:
    """Everything that runs, but probably not as meant; `now_s` is wall time (seconds since 1970 UTC)."""
    yield from _doubtful_limits(config)
    yield from _doubtful_backends(config)
    yield from _doubtful_tenants(config)
    yield from review_meters.doubts(config)
    yield from review_chains.doubts(config)
    yield from review_content.doubts(config)
    yield from review_telemetry.doubts(config)
    yield from _written_secrets(config)
    for name, tenant in config.tenants.items():
        for key_name, key in tenant.keys.items():
            if key.expires_s is not None and key.expires_s <= now_s:
                yield Finding(("tenants", name, "keys", key_name), "this key has expired: it opens nothing any more")


def served(config: Config) -> Iterator[tuple[str, Model]]:
    """The models that backends serve, by alias."""
    for alias, model in config.models.items():
        if isinstance(model, Model):
            yield alias, model


def fallbacks(config: Config, alias: str) -> tuple[str, ...]:
    """The models tried after `alias`, in order and each once: its own list first, then the lists of those. Unknown
    names are left out."""
    order: dict[str, None] = {}
    waiting = [alias]
    for name in waiting:  # grows as it goes: breadth first
        if len(order) > MAX_FALLBACKS:
            break  # a problem that `problems` reports; no need to follow it to its end
        for other in _own_fallbacks(config, name):
            if other != alias and other not in order and other in config.models:
                order[other] = None
                waiting.append(other)
    return tuple(order)


def _own_fallbacks(config: Config, alias: str) -> tuple[str, ...]:
    model = config.models[alias]
    return model.fallback if isinstance(model, Model) else ()


def missing_files(config: Config, exists: Callable[[str], bool]) -> Iterator[Finding]:
    """Doubts about files that backends name; not in `doubts`, since asking is I/O, and another machine may have
    them."""
    for name, backend in config.backends.items():
        if isinstance(backend, Fake) and backend.script is not None and not exists(backend.script):
            yield Finding(("backends", name, "script"), "there is no such file here")
        if isinstance(backend, Provider) and backend.api_key_file is not None and not exists(backend.api_key_file):
            yield Finding(("backends", name, "api_key_file"), "there is no such file here")


def missing_models(config: Config, missing: Callable[[str], str | None]) -> Iterator[Finding]:
    """The same for models to be served beside the gateway; `missing` says what keeps one from it here, None for
    nothing."""
    for name, backend in config.backends.items():
        if isinstance(backend, Embedded) and (lacking := missing(backend.model)) is not None:
            yield Finding(("backends", name, "model"), lacking)


def missing_providers(config: Config, missing: Callable[[], str | None]) -> Iterator[Finding]:
    """The same for outside providers, which all need the same packages."""
    for name, backend in config.backends.items():
        if isinstance(backend, Provider) and (lacking := missing()) is not None:
            yield Finding(("backends", name, "kind"), lacking)


def missing_grpc(config: Config, missing: Callable[[], str | None]) -> Iterator[Finding]:
    """The same for the gRPC listener."""
    if config.server.grpc is not None and (lacking := missing()) is not None:
        yield Finding(("server", "grpc"), lacking)


def missing_control(config: Config, missing: Callable[[], str | None]) -> Iterator[Finding]:
    """The same for the control listener."""
    if config.server.control is not None and (lacking := missing()) is not None:
        yield Finding(("server", "control"), lacking)


def _listeners(config: Config) -> Iterator[Finding]:
    server = config.server
    written: list[tuple[Path, str]] = [(("server", "bind"), server.bind), (("server", "ops"), server.ops)]
    if server.grpc is not None:
        written.append((("server", "grpc"), server.grpc))
    if server.control is not None:
        written.append((("server", "control", "bind"), server.control.bind))
    listeners = [(path, units.split_address(listen)) for path, listen in written]
    for (path, here), (other, there) in combinations(listeners, 2):
        same_host = here.host == there.host or here.host in ALL_INTERFACES or there.host in ALL_INTERFACES
        if here.port == there.port != 0 and same_host:
            names = [".".join(map(str, each[1:])) for each in (path, other)]
            told = f"{names[0]} ({here}) and {names[1]} ({there}) need the same port: give one another"
            yield Finding(other, told, path)


def _backend(path: Path, backend: Backend) -> Iterator[Finding]:
    match backend:
        case Servers():
            first: dict[str, int] = {}
            for index, endpoint in enumerate(backend.endpoints):
                earlier = first.setdefault(endpoint.url.rstrip("/"), index)
                if earlier != index:
                    here, there = (*path, "endpoints", index, "url"), (*path, "endpoints", earlier, "url")
                    yield Finding(here, "this endpoint is listed twice: it would get twice its share", there)
        case Embedded():
            if (
                "/" not in backend.model
                and not backend.model.endswith(".gguf")
                and backend.model not in EMBEDDED_MODELS
            ):
                known = nearest(backend.model, list(EMBEDDED_MODELS))
                yield Finding((*path, "model"), f"unknown model (a file's path holds a / or ends with .gguf); {known}")
        case Provider():
            if backend.api_key is not None and backend.api_key_file is not None:
                yield Finding((*path, "api_key_file"), "give one of api_key and api_key_file", (*path, "api_key"))
        case Fake():
            pass


def _models(config: Config) -> Iterator[Finding]:
    for alias, model in served(config):
        path: Path = ("models", alias)
        if model.backend not in config.backends:
            near = nearest(model.backend, list(config.backends))
            yield Finding((*path, "backend"), f"there is no backend {units.shown(model.backend)}; {near}")
        counts = Counter(model.fallback)
        for index, other in enumerate(model.fallback):
            here = (*path, "fallback", index)
            if other == alias:
                yield Finding(here, "a model cannot fall back to itself")
            elif other not in config.models:
                near = nearest(other, list(config.models))
                yield Finding(here, f"there is no model {units.shown(other)}; {near}")
            elif isinstance(config.models[other], Onnx):
                yield Finding(
                    here, f"{units.shown(other)} is a classic model: it answers no request made for a backend"
                )
            elif counts[other] > 1 and model.fallback.index(other) != index:
                yield Finding(here, f"{units.shown(other)} is already in this list")
        if model.fallback and len(fallbacks(config, alias)) > MAX_FALLBACKS:
            yield Finding((*path, "fallback"), f"more than {MAX_FALLBACKS} models, counting the fallbacks of fallbacks")
    yield from _cycles(config)


def _cycles(config: Config) -> Iterator[Finding]:
    """Each cycle of fallbacks once, at the model in it that the walk entered first."""
    finished: set[str] = set()
    for start in config.models:
        trail: dict[str, Iterator[str]] = {}
        name: str | None = start if start not in finished else None
        while name is not None:
            others = trail.setdefault(name, iter(_own_fallbacks(config, name)))
            other = next(others, None)
            if other is None:
                trail.pop(name)
                finished.add(name)
                name = next(reversed(trail), None)
            elif other in trail and other != name:
                names = list(trail)
                cycle = " → ".join([*names[names.index(other) :], other])
                yield Finding(("models", name, "fallback"), f"these fall back to each other: {cycle}")
            elif other != name and other in config.models and other not in finished:
                name = other


def _duplicate_keys(config: Config) -> Iterator[Finding]:
    digests = [key.digest for tenant in config.tenants.values() for key in tenant.keys.values()]
    rotated = [
        key.previous.digest
        for tenant in config.tenants.values()
        for key in tenant.keys.values()
        if key.previous is not None
    ]
    if len({*digests, *rotated}) == len(digests) + len(rotated):
        return
    first: dict[bytes, Path] = {}
    for path, digest in hashes(config.tenants):
        there = first.setdefault(digest, path)
        if there != path:
            yield Finding(path, SAME_HASH, key_of(there))


def hash_at(config: Config, path: Path) -> bytes | None:
    """The hash that stands at a path that `hashes` told, if there is one now."""
    tenant = config.tenants.get(str(path[1]))
    key = None if tenant is None else tenant.keys.get(str(path[3]))
    if key is None or path[4] == "hash":
        return None if key is None else key.digest
    return None if key.previous is None else key.previous.digest


def key_of(path: Path) -> Path:
    """The key, or its previous secret, that a hash stands in."""
    return path[:-1]


def hashes(tenants: Mapping[str, Tenant]) -> Iterator[tuple[Path, bytes]]:
    """Where each hash of a secret stands."""
    for name, tenant in tenants.items():
        for key_name, key in tenant.keys.items():
            path = ("tenants", name, "keys", key_name)
            yield (*path, "hash"), key.digest
            if key.previous is not None:
                yield (*path, "previous", "hash"), key.previous.digest


def _written_secrets(config: Config) -> Iterator[Finding]:
    message = "a secret in a file is archived with every snapshot: write ${NAME} and set it"
    control = config.server.control
    if control is not None and control.admin_token is not None and not units.env_names(control.admin_token):
        yield Finding(("server", "control", "admin_token"), message)
    for name in ("meters", "control"):
        store = getattr(config.stores, name)
        if units.holds_password(store) and not units.env_names(store):
            yield Finding(("stores", name), message)


def _doubtful_limits(config: Config) -> Iterator[Finding]:
    limits = config.server.limits
    for name in ("connect_s", "first_byte_s", "idle_s"):
        if getattr(limits, name) > limits.total_s:
            path = ("server", "limits", name)
            yield Finding(
                path, f"longer than total_s ({limits.total_s:g}), so it never applies", ("server", "limits", "total_s")
            )
    if limits.connect_s > limits.first_byte_s:
        path = ("server", "limits", "connect_s")
        yield Finding(path, f"longer than first_byte_s ({limits.first_byte_s:g}), so it never applies")


def _doubtful_backends(config: Config) -> Iterator[Finding]:
    used = {model.backend for _, model in served(config)}
    homes: dict[str, Path] = {}
    if not config.models:
        yield Finding(("models",), "there are no models: nothing can be served")
    for name, backend in config.backends.items():
        path: Path = ("backends", name)
        if name not in used:
            yield Finding(path, "no model uses this backend")
        if not isinstance(backend, Servers | Provider):
            continue
        if backend.api_key is not None and not units.env_names(backend.api_key):
            yield Finding(
                (*path, "api_key"), "a secret in a file is archived with every snapshot: write ${NAME} and set it"
            )
        if isinstance(backend, Provider):
            if units.leaves_in_clear(backend.api_base):
                yield Finding((*path, "api_base"), "prompts and the key leave this machine unencrypted: use https://")
            continue
        for index, endpoint in enumerate(backend.endpoints):
            here = (*path, "endpoints", index, "url")
            there = homes.setdefault(endpoint.url.rstrip("/"), here)
            if there[:2] != path:
                yield Finding(here, "this endpoint is in two backends: its load would be counted apart", there)
    for alias, model in served(config):
        for index, other_name in enumerate(model.fallback):
            other = config.models[other_name]
            if not isinstance(other, Model):
                continue  # a problem, not a doubt
            if other.backend == model.backend and (other.served_model or other_name) == (model.served_model or alias):
                yield Finding(
                    ("models", alias, "fallback", index), "falls back to the very same model of the same backend"
                )


def _doubtful_tenants(config: Config) -> Iterator[Finding]:
    if not config.tenants:
        yield Finding(("tenants",), "there are no tenants: nobody may ask")
    aliases = sorted(config.models)
    patterns: set[str] = set()
    matches: dict[str, bool] = {}
    for name, tenant in config.tenants.items():
        if not tenant.models:
            yield Finding(("tenants", name, "models"), "this tenant may use no model")
        if not tenant.keys:
            yield Finding(("tenants", name), "this tenant has no keys, so nobody can ask in its name")
        for index, pattern in enumerate(tenant.models):
            patterns.add(pattern)
            if pattern not in matches:
                glob = compile_globs([pattern])
                matches[pattern] = pattern in config.models or bool(glob and any(map(glob.fullmatch, aliases)))
            if not matches[pattern]:
                yield Finding(("tenants", name, "models", index), f"matches no model; {nearest(pattern, aliases)}")
    if config.tenants and "*" not in patterns:
        glob = compile_globs([pattern for pattern in patterns if "*" in pattern]) or re.compile(r"(?!)")
        reachable = {
            other
            for alias in aliases
            if alias in patterns or glob.fullmatch(alias)
            for other in _with_fallbacks(config, alias)
        }
        for alias in aliases:
            if alias not in reachable:
                yield Finding(("models", alias), "no tenant may use this model, and none falls back to it")


def _with_fallbacks(config: Config, alias: str) -> tuple[str, ...]:
    return (alias, *fallbacks(config, alias)) if _own_fallbacks(config, alias) else (alias,)
