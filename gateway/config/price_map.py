"""`prices.json`, the price map that `price: from_price_map` is looked up in: how it is written and read. Pure.

    {"about": "…", "prices": {
    "gpt-4o-mini": {"provider": "openai", "input": "$0.15/1M", "cached_input": "$0.075/1M", "output": "$0.6/1M"},
    …}}

One model a line, prices as in any configuration. A model is looked up as `PROVIDER/SERVED_MODEL`, then as its
`served_model`; with an outside provider an entry must be of that provider, since the same model costs another amount
elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

import msgspec

from gateway.config import units
from gateway.config.model import Config, Model, Provider
from gateway.config.model_meters import TokenPrices
from gateway.config.nodes import Node, Unreadable, from_json
from gateway.config.shape import Path, Shaper, nearest

FILE = "prices.json"
MAX_BYTES = 64_000_000

Entry: TypeAlias = Mapping[str, str]
"""A price as it is written, with its `provider` if it has one."""
Problem: TypeAlias = Callable[[Path, str], None]


class Priced(TokenPrices, frozen=True, kw_only=True):
    """An entry of the map."""

    provider: str | None = None
    """litellm's name of the provider whose price it is."""


def text(about: str, entries: Mapping[str, Entry]) -> str:
    """The file."""
    lines = [f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(entry)}" for name, entry in sorted(entries.items())]
    return '{"about": ' + json.dumps(about) + ', "prices": {\n' + ",\n".join(lines) + "\n}}\n"


def wanted(config: Config) -> Iterator[tuple[str, Model]]:
    """The models whose price is to be looked up, by alias."""
    for alias, model in config.models.items():
        if isinstance(model, Model) and model.price == "from_price_map":
            yield alias, model


def apply(config: Config, data: bytes, environ: Mapping[str, str], problem: Problem) -> Config:
    """The configuration with every such price filled in from the file's bytes. What cannot be is told to `problem` with
    the path of the model (or an empty one, for the file), and stays as it is."""
    entries = _entries(data, problem)
    if entries is None:
        return config
    models = dict(config.models)
    for alias, model in wanted(config):
        path: Path = ("models", alias, "price")
        tell = partial(problem, path)
        found = _find(config, alias, model, entries, tell)
        if found is not None:
            name, entry = found
            price = _price(name, entry, environ, tell)
            if price is not None:
                models[alias] = msgspec.structs.replace(model, price=price)
    return msgspec.structs.replace(config, models=models)


def _entries(data: bytes, problem: Problem) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("prices"), dict):
        problem((), "not a price map: `lockgate prices import` writes one")
        return None
    prices: dict[str, Any] = found["prices"]
    return prices


def _find(
    config: Config, alias: str, model: Model, entries: Mapping[str, Any], problem: Callable[[str], None]
) -> tuple[str, Any] | None:
    """The entry of a model, with its name."""
    served = model.served_model or alias
    backend = config.backends.get(model.backend)
    provider = backend.provider if isinstance(backend, Provider) else None
    names = [served] if provider is None else [f"{provider}/{served}", served]
    for name in names:
        entry = entries.get(name)
        if entry is None:
            continue
        owner = entry.get("provider") if isinstance(entry, dict) else None
        if provider is None or not isinstance(owner, str) or name != served or same_provider(owner, provider):
            return name, entry
        problem(
            f"{FILE} has {units.shown(name)} of {units.shown(owner)}, and the backend asks {provider}: write a price"
        )
        return None
    near = nearest(served, list(entries)) if entries else "it is empty"
    known = near if near.startswith("did you") else f"it has {len(entries)} others"
    problem(f"{FILE} has no {' and no '.join(map(units.shown, names))}; {known}")
    return None


def same_provider(owner: str, provider: str) -> bool:
    """Whether a price map's provider is the one that is asked: it names parts of some (`vertex_ai-language-models`,
    `bedrock_converse`)."""
    parts = (f"{provider}-", f"{provider}_converse", f"{provider}_chat", f"{provider}_text", f"{provider}_mantle")
    return owner == provider or owner.startswith(parts) or provider.startswith((f"{owner}_chat", f"{owner}_text"))


def _price(name: str, entry: Any, environ: Mapping[str, str], problem: Callable[[str], None]) -> TokenPrices | None:
    def tell(path: Path, node: Node, message: str) -> None:
        problem(f"{FILE}, {units.shown(name)}: " + ": ".join([*map(str, path), message]))

    try:
        node = from_json(json.dumps(entry), FILE, 0)
    except Unreadable as error:
        problem(f"{FILE}, {units.shown(name)}: {error.message}")
        return None
    found = Shaper(environ, tell).build(Priced, node, ())
    if found is None:
        return None
    return TokenPrices(**{part: getattr(found, part) for part in TokenPrices.__struct_fields__})
