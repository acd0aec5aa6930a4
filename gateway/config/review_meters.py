"""What must hold of prices, meters and projects: problems that stop a start, and doubts for `lockgate check`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.config import units
from gateway.config.model import V2, AnyModel, Config, Model, Onnx, Tenant
from gateway.config.model_meters import Downgrade, MeterEntry, TokenPrices
from gateway.config.places import Finding
from gateway.config.shape import Path, nearest
from gateway.config.snapshot_meters import meter, own_per, refused_at, sections, sections_of, thresholds, unpriced
from gateway.config.units_money import CALENDAR, cap_text, split_cap, token_price_text

_TOKENS = ("input_tokens", "output_tokens")
_CLAMPED = ("output_tokens", "usd")


def problems(config: Config) -> Iterator[Finding]:
    """Everything of prices, meters and projects for which a configuration must not run."""
    yield from _meters(config, sections(config))
    yield from _cycles(config)
    for alias, each in config.models.items():
        yield from _price(("models", alias, "price"), each)
    for name, tenant in config.tenants.items():
        yield from _projects(("tenants", name, "keys"), tenant)


def of_tenant(config: Config, name: str, tenant: Tenant) -> Iterator[Finding]:
    """The same of one tenant, which may be less than all of it."""
    yield from _meters(config, sections_of(name, tenant))
    yield from _projects(("tenants", name, "keys"), tenant)


def _meters(config: Config, found: Iterable[tuple[Path, str, tuple[MeterEntry, ...]]]) -> Iterator[Finding]:
    seen: set[int] = set()
    for path, level, entries in found:
        if not entries or (level == "tenant" and id(entries) in seen):
            continue  # a hundred thousand tenants may share theirs: what is wrong is told of the first
        seen.add(id(entries))
        model = config.models[str(path[1])] if level == "model" else None
        first: dict[str, Path] = {}
        for index, entry in enumerate(entries):
            here = (*path, index)
            wrong = [*_window(here, entry), *_thresholds(here, entry), *_on_model(here, entry, model)]
            yield from wrong
            yield from _downgrades(config, here, entry)
            if wrong:
                continue  # its window is not known
            compiled = meter(level, entry)
            there = first.setdefault(compiled.number, here)
            if there != here:
                yield Finding(
                    here, "there are two meters of the same quantity and window here: keep the smaller", there
                )
            elif compiled.stated_cap and not compiled.cap:
                yield Finding((*here, "at"), f"refuses everything: that share of {cap_text(entry.cap)} is less than 1")


def doubts(config: Config) -> Iterator[Finding]:
    """Everything of them that runs, but probably not as meant."""
    for alias in unpriced(config):
        yield Finding(
            ("models", alias),
            "has no price, so it is refused (402): others have one. Write price: free if it costs none",
        )
    for alias, model in config.models.items():
        if isinstance(model, Model):
            yield from _doubtful_price(config, ("models", alias, "price"), model)
    seen: set[int] = set()
    for path, level, entries in sections(config):
        if level == "tenant" and id(entries) in seen:
            continue
        seen.add(id(entries))
        for index, entry in enumerate(entries):
            yield from _doubtful_meter(config, (*path, index), level, entry)
    for name, tenant in config.tenants.items():
        yield from _doubtful_projects(("tenants", name), tenant)
    webhook = config.telemetry.webhook
    if units.leaves_in_clear(webhook):
        yield Finding(("telemetry", "webhook"), "what is posted leaves this machine unencrypted: use https://")


def _window(path: Path, entry: MeterEntry) -> Iterator[Finding]:
    quantity = entry.cap.partition(" ")[2]
    if quantity == "concurrent":
        if entry.window is not None:
            yield Finding((*path, "window"), "concurrent counts what runs at the moment: it has no window")
    elif entry.window is None:
        yield Finding(path, "the key window is missing: 60s, 5m, 1h, day, week, month or lifetime")
    if entry.zone is not None and entry.window not in CALENDAR:
        yield Finding((*path, "zone"), f"only {', '.join(CALENDAR)} begin in a zone: leave it out")


def _thresholds(path: Path, entry: MeterEntry) -> Iterator[Finding]:
    quantity = entry.cap.partition(" ")[2]
    refused = refused_at(entry)
    for share, action in thresholds(entry):
        here = (*path, "at", _percent(share))
        if share > refused or (share == refused and action != "refuse"):
            yield Finding(here, f"never reached: this meter refuses at {_percent(refused)}")
        elif action == "clamp" and quantity not in _CLAMPED:
            yield Finding(here, f"clamp shortens answers: it is for caps on money or output_tokens, not {quantity}")


def _on_model(path: Path, entry: MeterEntry, model: AnyModel | None) -> Iterator[Finding]:
    quantity = entry.cap.partition(" ")[2]
    if isinstance(model, Onnx):
        if quantity in _TOKENS:
            yield Finding((*path, "cap"), "a classic model has no tokens: cap its requests, what runs, or money")
        for share, action in thresholds(entry):
            if action == "clamp" or isinstance(action, Downgrade):
                word = action if isinstance(action, str) else "downgrade"
                yield Finding((*path, "at", _percent(share)), f"{word} is not for classic models: warn or refuse")


def _downgrades(config: Config, path: Path, entry: MeterEntry) -> Iterator[Finding]:
    for share, action in thresholds(entry):
        if not isinstance(action, Downgrade):
            continue
        here, target = (*path, "at", _percent(share), "downgrade"), config.models.get(action.downgrade)
        if target is None:
            near = nearest(action.downgrade, list(config.models))
            yield Finding(here, f"there is no model {units.shown(action.downgrade)}; {near}")
        elif isinstance(target, Onnx) or isinstance(config.backends.get(target.backend), V2):
            yield Finding(here, f"{units.shown(action.downgrade)} is asked under /v2: it answers no request for a chat")
        elif path[:2] == ("models", action.downgrade):
            yield Finding(here, "a model cannot be downgraded to itself")


def _cycles(config: Config) -> Iterator[Finding]:
    """Models whose own meters downgrade to each other."""
    targets = {
        alias: [
            action.downgrade
            for entry in model.meters
            for _, action in thresholds(entry)
            if isinstance(action, Downgrade)
        ]
        for alias, model in config.models.items()
        if model.meters
    }
    told: set[str] = set()
    for start in targets:
        trail = _way_back(targets, start)
        if trail and not told & set(trail):
            told |= set(trail)
            cycle = " → ".join([*trail, start])
            yield Finding(("models", start, "meters"), f"these are downgraded to each other: {cycle}")


def _way_back(targets: dict[str, list[str]], start: str) -> list[str]:
    """The models from `start` until one leads to it again; empty when none does, or when it is its own."""
    trails = [[start]]
    seen = {start}
    for trail in trails:  # grows as it goes
        for target in targets.get(trail[-1], ()):
            if target == start and len(trail) > 1:
                return trail
            if target not in seen:
                seen.add(target)
                trails.append([*trail, target])
    return []


def _price(path: Path, model: AnyModel) -> Iterator[Finding]:
    price = model.price
    if isinstance(price, TokenPrices) and price == TokenPrices():
        yield Finding(path, "names no price: write price: free for a model that costs nothing")
    elif isinstance(price, TokenPrices):
        for part, whole in (("cached_input", "input"), ("reasoning", "output")):
            if getattr(price, part) is not None and getattr(price, whole) is None:
                yield Finding((*path, part), f"the key {whole} is missing: the price of the others of its kind")


def _projects(path: Path, tenant: Tenant) -> Iterator[Finding]:
    for key_name, key in tenant.keys.items():
        for index, project in enumerate(key.projects):
            here = (*path, key_name, "projects", index)
            if project not in tenant.projects:
                near = nearest(project, list(tenant.projects))
                yield Finding(here, f"this tenant has no project {units.shown(project)}; {near}")
            elif key.projects.index(project) != index:
                yield Finding(here, f"{units.shown(project)} is already in this list")


def _doubtful_price(config: Config, path: Path, model: Model) -> Iterator[Finding]:
    price = model.price
    if not isinstance(price, TokenPrices):
        return
    if isinstance(config.backends.get(model.backend), V2):
        if price.input or price.output:
            yield Finding(path, "a server of kind v2 tells no tokens: only `request` is charged")
        return
    if price.input is not None and price.output is None:
        yield Finding(path, "names no price of output, which then costs nothing: write output: $0/1M if that is meant")
    if price.input is None and price.output is not None:
        yield Finding(path, "names no price of input, which then costs nothing: write input: $0/1M if that is meant")
    if price.input is not None and price.cached_input is not None and price.cached_input > price.input:
        yield Finding(
            (*path, "cached_input"), f"dearer than input that is not cached ({token_price_text(price.input)})"
        )


def _doubtful_meter(config: Config, path: Path, level: str, entry: MeterEntry) -> Iterator[Finding]:
    if "warn" in entry.at.values() and config.telemetry.webhook is None:
        share = next(share for share, action in thresholds(entry) if action == "warn")
        yield Finding(
            (*path, "at", _percent(share)),
            "telemetry.webhook is not set: this is logged and counted, and posted nowhere",
        )
    if level == "model":
        yield from _dearer(config, path, entry)
    if level in ("key", "project"):
        tenant = config.tenants[str(path[1])]
        for index, other in enumerate(tenant.meters):
            (here, cap), (there, most) = split_cap(entry.cap), split_cap(other.cap)
            alike = (here, entry.window, entry.zone or "UTC") == (there, other.window, other.zone or "UTC")
            whole = not own_per(level, entry) and not own_per("tenant", other)
            if alike and whole and cap > most:
                yield Finding(
                    (*path, "cap"),
                    f"more than the whole tenant may use ({cap_text(other.cap)}), so it never applies",
                    ("tenants", path[1], "meters", index, "cap"),
                )


def _dearer(config: Config, path: Path, entry: MeterEntry) -> Iterator[Finding]:
    """A model's meter that downgrades to a model that costs more."""
    own = config.models[str(path[1])].price
    for share, action in thresholds(entry):
        target = config.models.get(action.downgrade) if isinstance(action, Downgrade) else None
        other = target.price if target is not None else None
        if not isinstance(own, TokenPrices) or not isinstance(other, TokenPrices):
            continue
        if (other.output or 0, other.input or 0) > (own.output or 0, own.input or 0):
            costs = token_price_text(other.output or 0)
            yield Finding((*path, "at", _percent(share), "downgrade"), f"is dearer ({costs} output), and no saving")


def _doubtful_projects(path: Path, tenant: Tenant) -> Iterator[Finding]:
    used = {project for key in tenant.keys.values() for project in key.projects}
    for project in tenant.projects:
        if project not in used and tenant.keys:
            yield Finding((*path, "projects", project), "no key may work for this project")


def _percent(permille: int) -> str:
    """A share as it is written."""
    return f"{permille / 10:g}%"
