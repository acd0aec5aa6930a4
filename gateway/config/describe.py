"""What a configuration will do, in words: what `lockgate check` prints. Pure.

For someone who is tired: what is reachable from where, what runs, which name leads to what, who may use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar

from gateway.config import describe_chains, describe_meters, units
from gateway.config.globs import compile_globs
from gateway.config.model import (
    Backend,
    Config,
    Control,
    Embedded,
    Fake,
    Limits,
    Onnx,
    Provider,
    Servers,
    Tenant,
    Version,
    kind_of,
)
from gateway.config.model_content import Content
from gateway.config.model_telemetry import Otlp
from gateway.config.review import ALL_INTERFACES, fallbacks
from gateway.config.snapshot import version_order

T = TypeVar("T")

SOON_S = 30 * 86_400
"""Keys that expire within this time are counted."""

_MOST_ENTRIES = 40
_MOST_NAMES = 8


def describe(config: Config, now_s: float) -> Iterator[str]:
    """Lines of text; `now_s` is wall time, for keys that expire soon."""
    yield from _section("Server", _server(config))
    yield from _section("Backends", [(name, _backend(backend)) for name, backend in _some(config.backends.items())])
    yield from _more(len(config.backends))
    yield from _section("Models", [(alias, _model(config, alias)) for alias in _some(config.models)])
    yield from _more(len(config.models))
    aliases = sorted(config.models)
    tenants = [(name, _tenant(tenant, aliases, now_s)) for name, tenant in _some(config.tenants.items())]
    yield from _section("Tenants", tenants)
    yield from _more(len(config.tenants))
    if prices := describe_meters.prices(config):
        yield from _section("Prices", _some(prices))
        yield from _more(len(prices))
    meters, count = describe_meters.meters(config, _MOST_ENTRIES - 1)
    if meters:
        yield from _section("Meters", meters)
        yield from _more(count)
    if config.chains:
        yield from _section("Chains", describe_chains.chains(config))


def _server(config: Config) -> list[tuple[str, str]]:
    server = config.server
    workers = "one for each CPU the control group grants" if server.workers == "auto" else str(server.workers)
    return [
        ("data", f"{server.bind}, {_reach(server.bind)}; callers need a key"),
        ("ops", f"{server.ops}, {_reach(server.ops)}; metrics and health, no key needed"),
        *([("grpc", f"{server.grpc}, {_reach(server.grpc)}; callers need a key")] if server.grpc else []),
        *([("control", _control(server.control))] if server.control else []),
        ("workers", workers),
        ("state", server.state_dir),
        ("limits", _limits(server.limits)),
        ("retries", _retries(config)),
        ("logs", f"{config.telemetry.log_level}, access log {'on' if config.telemetry.access_log else 'off'}"),
        *([("warnings", f"posted to {_host(config.telemetry.webhook)}")] if config.telemetry.webhook else []),
        *([("spans", _spans(config.telemetry.otlp))] if config.telemetry.otlp else []),
    ]


def _spans(otlp: Otlp) -> str:
    errors = "" if otlp.errors == "sampled" or otlp.sample == 1 else " and of all that fail"
    names = "".join(f", with {name}" for name in otlp.headers)
    return (
        f"of {otlp.sample * 100:g}% of the requests{errors}, or as a caller's traceparent says, are sent to "
        f"{_host(otlp.endpoint)} ({otlp.protocol}){names}: who asked which model, times, tokens and cost, no content"
    )


def _control(control: Control) -> str:
    if control.admin_token is None:
        return "off: server.control.admin_token is not set"
    needed = "".join(f", if {name} is set" for name in units.env_names(control.admin_token))
    return f"{control.bind}, {_reach(control.bind)}; administration, with a token{needed}"


def _host(url: str) -> str:
    """Scheme and host of an address whose path may be a secret."""
    return "/".join(url.split("/")[:3])


def _limits(limits: Limits) -> str:
    sizes = f"body {_size(limits.body)}, headers {_size(limits.header)}, answer {_size(limits.answer)}"
    times = f"first byte {limits.first_byte_s:g} s, silence {limits.idle_s:g} s, whole request {limits.total_s:g} s"
    return f"{sizes}; {times}; drain {limits.drain_s:g} s"


def _retries(config: Config) -> str:
    retries = config.server.retries
    if retries.attempts == 1:
        return "none"
    return f"at most {retries.attempts} attempts on a backend; all retries at most {retries.share * 100:g}% of requests"


def _reach(listen: str) -> str:
    host = units.split_address(listen).host
    if host in ALL_INTERFACES:
        return "reachable from every network of this machine"
    loopback = host in ("localhost", "::1") or host.startswith("127.")
    return "from this machine only" if loopback else f"reachable through {host}"


def _backend(backend: Backend) -> str:
    match backend:
        case Servers():
            urls = _list([endpoint.url for endpoint in backend.endpoints])
            count = _count(len(backend.endpoints), "endpoint")
            return f"{kind_of(backend)}, {count}: {urls}" + _key(backend.api_key)
        case Provider():
            where = backend.api_base or f"{backend.provider} at its own address"
            key = "" if backend.api_key_file is None else f"; key from the file {backend.api_key_file}"
            return f"provider {backend.provider}: sends prompts to {where}" + (key or _key(backend.api_key))
        case Embedded():
            return f"embedded: {backend.model}, started beside the gateway"
        case Fake():
            source = backend.script or "a built-in script"
            return f"fake: answers from {source}, not from a model; started beside the gateway"


def _key(api_key: str | None) -> str:
    """Where a backend's key comes from."""
    if api_key is None:
        return ""
    names = units.env_names(api_key)
    return f"; key from ${{{names[0]}}}" if names else "; key in the file"


def _model(config: Config, alias: str) -> str:
    model = config.models[alias]
    if isinstance(model, Onnx):
        return _classic(model)
    served = "" if model.served_model in (None, alias) else f" as {model.served_model}"
    others = fallbacks(config, alias)
    return f"{model.backend}{served}" + (f"; if it cannot answer: {', then '.join(others)}" if others else "")


def _classic(model: Onnx) -> str:
    """The versions with the start of their digests, the default first, and how many columns are checked."""
    said = []
    columns = 0
    for name in sorted(model.versions, key=version_order, reverse=True):
        written = model.versions[name]
        version = written if isinstance(written, Version) else Version(path=written)
        columns = columns or len(version.schema or model.schema)
        digest = "" if version.digest is None else f" ({version.digest[:19]}…)"
        said.append(f"{name} from {version.path}{digest}")
    checked = f"{_count(columns, 'column')} checked" if columns else "rows are not checked"
    return f"onnx, inside the gateway: version {', '.join(said[:3])}{' and more' if len(said) > 3 else ''}; {checked}"


def _tenant(tenant: Tenant, aliases: list[str], now_s: float) -> str:
    """How many keys, and which models."""
    ends = sorted((key.expires_s, name) for name, key in tenant.keys.items() if key.expires_s is not None)
    expired = [name for end, name in ends if end <= now_s]
    soon = [f"{name} on {_day(end)}" for end, name in ends if now_s < end <= now_s + SOON_S]
    keys = _count(len(tenant.keys), "key")
    if soon:
        keys += f", {len(soon)} expiring within {SOON_S // 86_400} days ({_list(soon, 3)})"
    if expired:
        keys += f", {len(expired)} expired"
    exact = {pattern for pattern in tenant.models if "*" not in pattern}
    glob = compile_globs(pattern for pattern in tenant.models if "*" in pattern)
    usable = [alias for alias in aliases if alias in exact or (glob is not None and glob.fullmatch(alias))]
    may = f"may use {_count(len(usable), 'model')}: {_list(usable)}" if usable else "may use no model"
    return f"{keys}; {may}{_kept(tenant.content)}"


def _kept(content: Content | None) -> str:
    """What is kept of what is said."""
    if content is None:
        return ""
    how = "masked" if content.record == "masked" else "in full"
    return f"; what is said is kept {how} for {_count(content.retention_days, 'day')}"


def _section(title: str, entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    entries = list(entries)
    width = min(max((len(name) for name, _ in entries), default=0), 32)
    yield f"{title}"
    for name, text in entries or [("none", "")]:
        yield f"  {name:<{width}}  {text}".rstrip()


def _some(entries: Iterable[T]) -> list[T]:
    """The first entries in the order they are written."""
    return list(islice(entries, _MOST_ENTRIES))


def _more(count: int) -> Iterator[str]:
    if count > _MOST_ENTRIES:
        yield f"  … and {count - _MOST_ENTRIES} more"


def _list(names: list[str], most: int = _MOST_NAMES) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _size(size: int) -> str:
    for unit, factor in (("GiB", 2**30), ("GB", 10**9), ("MiB", 2**20), ("MB", 10**6), ("KiB", 2**10), ("KB", 10**3)):
        if size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} bytes"


def _day(end_s: int) -> str:
    """The day of the last second before the end."""
    return datetime.fromtimestamp(end_s - 1, UTC).date().isoformat()
