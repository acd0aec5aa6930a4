"""A whole configuration of LiteLLM's proxy to the sections of ours. Pure: files are read and written by the command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config.from_litellm import deployments, models, settings
from gateway.config.from_litellm.deployments import Deployment
from gateway.config.from_litellm.models import Catalogue
from gateway.config.from_litellm.report import Report, items, members, says_nothing
from gateway.config.from_litellm.tenants import Tenants, from_master_key
from gateway.config.nodes import Node
from gateway.errors import ConfigError

_BALANCED = ("simple-shuffle", "least-busy")


@dataclass(frozen=True, slots=True)
class Imported:
    """Our sections, as they are to be written, and everything to say about them. Without any key, `keyless` is true:
    somebody must make one."""

    server: dict[str, Any]
    backends: dict[str, dict[str, Any]]
    models: dict[str, dict[str, Any]]
    tenants: dict[str, dict[str, Any]]
    report: Report
    keyless: bool
    meters: list[dict[str, Any]]
    """Those of the whole gateway."""


def translate(
    root: Node,
    teams: Node | None,
    keys: Node | None,
    environ: Mapping[str, str],
    price_map: Mapping[str, dict[str, str]] | None = None,
) -> Imported:
    """What LiteLLM's configuration `root` is here, with the teams and keys its API listed. `environ` tells what
    `os.environ/NAME` stands for where an address must be looked at; no value of it is kept but as a hash. `price_map`
    has the prices of models that state none (`prices.translate`).

    Raises ConfigError when there is nothing to carry.
    """
    if not isinstance(root.value, dict):
        raise ConfigError(f"{root.place}: not a configuration of LiteLLM's proxy: expected a map with model_list")
    report = Report(root)
    sections = members(root, (), report)
    litellm = members(sections.get("litellm_settings"), ("litellm_settings",), report)
    router = members(sections.get("router_settings"), ("router_settings",), report)
    general = members(sections.get("general_settings"), ("general_settings",), report)

    catalogue = _catalogue(sections, report, environ)
    if not catalogue.models:
        told = "\n".join(map(str, report.losses))
        raise ConfigError(f"{root.file}: no model of model_list can be carried\n{told}".rstrip())
    models.add_aliases(router.get("model_group_alias"), ("router_settings", "model_group_alias"), catalogue, report)
    for name, add in (("fallbacks", models.add_fallbacks), ("default_fallbacks", models.add_default_fallbacks)):
        found = settings.of_both(name, name, litellm, router, report)
        if found is not None:
            add(found[1], found[0], catalogue, report)
    server = settings.server(litellm, router, general, report)

    tenants = Tenants(catalogue, report, from_master_key(general.get("master_key"), report, environ))
    tenants.add_teams(teams)
    tenants.add_keys(keys)
    keyless = not any(tenant["keys"] for tenant in tenants.found.values())
    if keyless:
        tenants.found.setdefault("default", {"models": ["*"], "keys": {}})

    own = settings.meters(litellm, general, report)
    if price_map is not None or _counts_money(catalogue, tenants, own):
        models.price_all(catalogue, price_map, root, report)
    _tell_rest(sections, litellm, router, general, report)
    return Imported(server, catalogue.backends, catalogue.models, tenants.found, report, keyless, own)


def _counts_money(catalogue: Catalogue, tenants: Tenants, own: list[dict[str, Any]]) -> bool:
    """Whether anything has a price or a budget: then every model needs a price."""
    if any("price" in model for model in catalogue.models.values()):
        return True
    owners = [*catalogue.models.values(), *tenants.found.values(), {"meters": own}]
    owners += [key for tenant in tenants.found.values() for key in tenant["keys"].values()]
    return any(meter["cap"].startswith("$") for owner in owners for meter in owner.get("meters", ()))


def _catalogue(sections: Mapping[str, Node], report: Report, environ: Mapping[str, str]) -> Catalogue:
    known = models.credentials(sections.get("credential_list"), report)
    by_alias: dict[str, list[Deployment]] = {}
    for path, node in items(sections.get("model_list"), ("model_list",), report):
        found = deployments.read(node, path, known, report, environ)
        if found is not None:
            by_alias.setdefault(found.alias, []).append(found)
    catalogue = Catalogue()
    for alias in by_alias:  # before the extra ones, which must not take a public name
        catalogue.models[alias] = {}
    for alias, found_ones in by_alias.items():
        _tell_weights(alias, found_ones, report)
        catalogue.add(alias, found_ones, report)
    return catalogue


def _tell_weights(alias: str, found: list[Deployment], report: Report) -> None:
    """Weights are lost where they were not all the same."""
    weights = []
    for each in found:
        params = members(each.node.value.get("litellm_params"), each.path, report)
        weights.append(params.get("weight"))
    if len({None if node is None else str(node.value) for node in weights}) > 1:
        for each, node in zip(found, weights, strict=True):
            if node is not None:
                where = (*each.path, "litellm_params", "weight")
                report.lost(
                    node, where, "endpoints of a backend share its requests evenly; a fallback gets none before"
                )


def _tell_rest(
    sections: Mapping[str, Node],
    litellm: Mapping[str, Node],
    router: Mapping[str, Node],
    general: Mapping[str, Node],
    report: Report,
) -> None:
    """Everything that no one else has looked at."""
    strategy = router.get("routing_strategy")
    if strategy is not None and strategy.value is not None and strategy.value not in _BALANCED:
        report.lost(
            strategy,
            ("router_settings", "routing_strategy"),
            "the endpoint with the least to do is asked, and one conversation stays on one endpoint",
        )
    both = ("fallbacks", "default_fallbacks", "num_retries")
    in_litellm = (*both, "request_timeout", *settings.LITELLM_METERS)
    settings.refuse_all(litellm, ("litellm_settings",), settings.LITELLM, report, in_litellm)
    done = (*both, "timeout", "routing_strategy", "model_group_alias")
    settings.refuse_all(router, ("router_settings",), settings.ROUTER, report, done)
    looked_at = ("master_key", "max_request_size_mb", *settings.GENERAL_METERS)
    settings.refuse_all(general, ("general_settings",), settings.GENERAL, report, looked_at)
    for name, node in members(sections.get("environment_variables"), ("environment_variables",), report).items():
        if not says_nothing(node):
            where = ("environment_variables", name)
            report.lost(
                node, where, f"set {name} in the gateway's environment, if it is used: no file of ours holds it"
            )
    handled = ("model_list", "litellm_settings", "router_settings", "general_settings", "environment_variables")
    settings.refuse_all(sections, (), settings.SECTIONS, report, (*handled, "credential_list"))
