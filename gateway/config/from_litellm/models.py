"""LiteLLM's deployments to our backends and models: those of one name become endpoints of one backend where they are
the same model on servers of the same kind, else fallbacks of each other. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.config import units, units_money
from gateway.config.from_litellm import meters, prices
from gateway.config.from_litellm.deployments import Deployment, Target
from gateway.config.from_litellm.report import Report, holds, items, members, named, says_nothing, unused
from gateway.config.leaves import Alias
from gateway.config.model import MAX_FALLBACKS
from gateway.config.nodes import Node
from gateway.config.shape import Path, nearest

ANY: Final = "*"


@dataclass
class Catalogue:
    """The backends and models so far, as they will be written. `extra` are models that only fallbacks lead to; `groups`
    are LiteLLM's access groups with their models."""

    backends: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    extra: set[str] = field(default_factory=set)
    groups: dict[str, list[str]] = field(default_factory=dict)
    _targets: dict[tuple[Target, ...], str] = field(default_factory=dict)

    def add(self, alias: str, deployments: list[Deployment], report: Report) -> None:
        """A name with everything that serves it, in the order of asking."""
        deployments = sorted(deployments, key=lambda each: each.order)
        alike: dict[tuple[Any, ...], list[Deployment]] = {}
        for each in deployments:
            server = each.target.kind == "vllm"
            same = (
                each.target._replace(base=None) if server else each.target,
                each.served,
                each.order if server else 0,
            )
            alike.setdefault(same, []).append(each)
        names = []
        for number, found in enumerate(alike.values()):
            name = alias if number == 0 else unused(f"{alias}@{number + 1}", self.models, ".")
            self.models[name] = {"backend": self._backend(found), "served_model": found[0].served}
            self.models[name] |= _paid(found, report)
            names.append(name)
        self.extra.update(names[1:])
        if len(names) > 1:
            others = ", ".join(names[1:])
            first = deployments[0]
            if len({each.order for each in deployments}) < len(names):
                message = f"was balanced over unlike deployments: here the first serves, and {others} when it cannot"
                report.lost(first.node, first.path, message)
            else:
                report.note(
                    first.node, first.path, f"the other deployments of this name became its fallbacks: {others}"
                )
            self.models[alias]["fallback"] = names[1:]
        for each in deployments:
            for group in each.groups:
                members_of = self.groups.setdefault(group, [])
                if alias not in members_of:
                    members_of.append(alias)

    def _backend(self, deployments: list[Deployment]) -> str:
        targets = tuple(dict.fromkeys(each.target for each in deployments))
        name = self._targets.get(targets)
        if name is None:
            name = unused(_name(targets[0]), self.backends)
            self._targets[targets] = name
            self.backends[name] = _written(targets)
        return name

    def alone(self, alias: str) -> str:
        """A model like `alias` that falls back to nothing."""
        name = f"{alias}@alone"
        self.extra.add(name)
        self.models.setdefault(name, {key: value for key, value in self.models[alias].items() if key != "fallback"})
        return name

    def same_as(self, alias: str, target: str) -> None:
        """Another name for a model."""
        self.models[alias] = dict(self.models[target])

    def public(self) -> list[str]:
        """The names that callers are to use."""
        return [alias for alias in self.models if alias not in self.extra]

    def reaches(self, start: str, goal: str) -> bool:
        """Whether `start` may end up at `goal`, by fallbacks and theirs."""
        return goal in self.chain(start)

    def chain(self, alias: str) -> list[str]:
        """`alias` and all that may be asked after it."""
        order = [alias]
        for name in order:
            order += [other for other in self.models[name].get("fallback", ()) if other not in order]
        return order


def _paid(found: list[Deployment], report: Report) -> dict[str, Any]:
    """What alike deployments cost and may be asked together: the keys `price` and `meters`."""
    paid: dict[str, Any] = {}
    price: dict[str, str] = {}
    for each in found:
        if price and each.price and each.price != price:
            report.note(
                each.node, each.path, "costs another amount than the deployments it is one with: the dearest holds"
            )
        for name, cost in each.price.items():
            price[name] = max(price.get(name, cost), cost, key=units_money.any_price)
    if price := prices.whole(price):
        paid["price"] = price
    caps, unlimited = meters.summed(each.caps for each in found)
    for each in found:
        if unlimited & set(each.caps):
            message = "another deployment of this name has no such limit: together they have none"
            report.lost(each.node, each.path, message)
    if caps:
        paid["meters"] = meters.rendered(caps)
    return paid


def price_all(catalogue: Catalogue, price_map: Mapping[str, dict[str, str]] | None, root: Node, report: Report) -> None:
    """Gives every model a price, as LiteLLM does: its own, that of its price map, or none at all."""
    free: list[str] = []
    unknown: list[str] = []
    for alias, model in catalogue.models.items():
        if "price" in model:
            continue
        provider = catalogue.backends[model["backend"]].get("provider")
        served = model["served_model"]
        names = [served] if provider is None else [f"{provider}/{served}", served]
        entry = next((price_map[name] for name in names if price_map is not None and name in price_map), None)
        if entry is not None:
            model["price"] = {name: price for name, price in entry.items() if name != "provider"}
        else:
            model["price"] = "free"
            (free if provider is None else unknown).append(alias)
    if free:
        message = f"no price is stated for {', '.join(free)}: free, as with LiteLLM"
        report.note(root, ("model_list",), message)
    if unknown:
        where = "its price map does not have it" if price_map is not None else "give LiteLLM's price map with --prices"
        report.lost(root, ("model_list",), f"no price is stated for {', '.join(unknown)}: free here; {where}")


def _name(target: Target) -> str:
    """A backend's name: what is asked, and the part of its host that tells it from others."""
    kind = "vllm" if target.kind == "vllm" else target.provider
    host = urlsplit(target.base or "").hostname
    if host is None:
        return named(kind)
    labels = (
        [host] if host.replace(".", "").isdigit() else [part for part in host.split(".") if part not in ("api", "www")]
    )
    return named(f"{kind}-{(labels or [host])[0]}")


def _written(targets: tuple[Target, ...]) -> dict[str, Any]:
    first = targets[0]
    written: dict[str, Any] = {"kind": first.kind}
    if first.kind == "vllm":
        written["endpoints"] = [{"url": target.base} for target in targets]
    else:
        written["provider"] = first.provider
        if first.base is not None:
            written["api_base"] = first.base
    if first.api_key is not None:
        written["api_key"] = first.api_key
    return written


# -- fallbacks


def add_fallbacks(node: Node | None, path: Path, catalogue: Catalogue, report: Report) -> None:
    """LiteLLM's `fallbacks`: a list of `{model: [models]}`."""
    for here, entry in items(node, path, report):
        for alias, others in members(entry, here, report).items():
            where = (*here, alias)
            if alias == ANY:
                add_default_fallbacks(others, where, catalogue, report)
            elif alias not in catalogue.models:
                known = nearest(alias, catalogue.public())
                report.lost(others, where, f"there is no model {units.shown(alias)}; {known}")
            else:
                _add(alias, items(others, where, report), catalogue, report)


def add_default_fallbacks(node: Node | None, path: Path, catalogue: Catalogue, report: Report) -> None:
    """LiteLLM's `default_fallbacks`: for every model that has none of its own."""
    without = [alias for alias in catalogue.public() if not catalogue.models[alias].get("fallback")]
    wanted = list(items(node, path, report))
    for alias in without:
        _add(alias, [(here, each) for here, each in wanted if each.value != alias], catalogue, report)


def _add(alias: str, wanted: Iterable[tuple[Path, Node]], catalogue: Catalogue, report: Report) -> None:
    for here, node in wanted:
        other = node.value
        if not isinstance(other, str):
            report.lost(node, here, "a fallback with parameters of its own cannot be carried: name a model")
        elif other not in catalogue.models:
            known = nearest(other, catalogue.public())
            report.lost(node, here, f"there is no model {units.shown(other)}; {known}")
        elif other == alias:
            report.lost(node, here, "a model cannot fall back to itself")
        else:
            if catalogue.reaches(other, alias):
                other = catalogue.alone(other)
                report.note(
                    node, here, f"they fall back to each other, so it became {other}, which falls back to nothing"
                )
            fallback = catalogue.models[alias].setdefault("fallback", [])
            if other in fallback:
                continue
            fallback.append(other)
            too_long = [name for name in catalogue.models if len(catalogue.chain(name)) > MAX_FALLBACKS + 1]
            if too_long:
                fallback.remove(other)
                report.lost(
                    node, here, f"at most {MAX_FALLBACKS} models can follow one, with the fallbacks of fallbacks"
                )
            if not fallback:
                del catalogue.models[alias]["fallback"]


# -- other names


def add_aliases(node: Node | None, path: Path, catalogue: Catalogue, report: Report) -> None:
    """LiteLLM's `model_group_alias`: other names of models, `{alias: model}` or `{alias: {model: …, hidden: …}}`."""
    for alias, target in members(node, path, report).items():
        here = (*path, alias)
        name = target.value
        if isinstance(name, dict):
            found = members(target, here, report)
            name = found["model"].value if "model" in found else None
            if "hidden" in found and not says_nothing(found["hidden"]):
                report.lost(found["hidden"], (*here, "hidden"), "whoever may use a model sees it in /v1/models")
        if not isinstance(name, str) or name not in catalogue.models:
            report.lost(
                target, here, f"there is no model {units.shown(name)}; {nearest(str(name), catalogue.public())}"
            )
        elif alias in catalogue.models:
            report.lost(target, here, "model_list has a model of this name, which wins")
        elif not holds(Alias, alias):
            report.lost(target, here, "cannot be a model's name here: letters, digits and any of . _ - : / @ +")
        else:
            catalogue.same_as(alias, name)
            if "meters" in catalogue.models[name]:
                report.note(target, here, "the limits of the model hold for this name and for its own apart")


def credentials(node: Node | None, report: Report) -> Mapping[str, Mapping[str, Node]]:
    """LiteLLM's `credential_list`: parameters by the name that deployments refer to."""
    found: dict[str, Mapping[str, Node]] = {}
    for here, item in items(node, ("credential_list",), report):
        entry = members(item, here, report)
        name = entry.get("credential_name")
        if name is None or not isinstance(name.value, str):
            report.lost(item, here, "credential_name is missing")
            continue
        found[name.value] = members(entry.get("credential_values"), (*here, "credential_values"), report)
    return found
