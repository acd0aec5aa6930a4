"""What must hold of chains of checks and of what they ask: problems that stop a start, and doubts for `lockgate check`.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.config import snapshot_chains, units
from gateway.config.model import AnyModel, Config, Tenant
from gateway.config.places import Finding
from gateway.config.shape import Path, nearest

_ASKED = {"model": "models", "webhook": "webhooks"}
"""The checks that ask one of a section, by its name as their `target`."""


def problems(config: Config) -> Iterator[Finding]:
    """Everything of chains for which a configuration must not run."""
    for name in config.chains:
        yield from _chain(config, name)
    for alias, model in config.models.items():
        yield from _of_model(config, alias, model)
    for name, tenant in config.tenants.items():
        yield from of_tenant(config, name, tenant)


def of_tenant(config: Config, name: str, tenant: Tenant) -> Iterator[Finding]:
    """The same of one tenant, which may be less than all of it."""
    yield from _known(config, ("tenants", name, "chain"), tenant.chain)
    for key_name, key in tenant.keys.items():
        if key.chain is not None:
            yield from _known(config, ("tenants", name, "keys", key_name, "chain"), key.chain)


def doubts(config: Config) -> Iterator[Finding]:
    """Everything of them that runs, but probably not as meant."""
    used = {name for tenant in config.tenants.values() for name in _chains_of(tenant)}
    used |= {model.chain for model in config.models.values() if model.chain}
    asked: set[str] = set()
    for name, entries in config.chains.items():
        asked |= {str(entry.get("target")) for entry in entries if entry.get("check") == "webhook"}
        if name not in used:
            yield Finding(("chains", name), "no tenant, key or model has this chain")
        elif not entries:
            yield Finding(("chains", name), "this chain is empty: it checks nothing")
    for name, webhook in config.webhooks.items():
        path: Path = ("webhooks", name)
        if name not in asked:
            yield Finding(path, "no check asks this webhook")
        if units.leaves_in_clear(webhook.url):
            yield Finding((*path, "url"), "prompts and answers leave this machine unencrypted: use https://")
        if not units.env_names(webhook.secret):
            told = "a secret in a file is archived with every snapshot: write ${NAME} and set it"
            yield Finding((*path, "secret"), told)


def _chain(config: Config, name: str) -> Iterator[Finding]:
    from guardrails.chain import ChainError

    entries = config.chains[name]
    try:
        snapshot_chains.made(name, entries)
    except ChainError as error:
        for each in (error, *error.others):
            number, *key = each.place
            known = key[:1] if key and key[0] in entries[int(number)] else []
            told = each.told if known or not key else f"{key[0]}: {each.told}"
            yield Finding(("chains", name, number, *known), told)
        return
    for index, entry in enumerate(entries):
        section = _ASKED.get(str(entry["check"]))
        if section is not None:
            yield from _target(config, section, ("chains", name, index, "target"), str(entry["target"]))


def _target(config: Config, section: str, path: Path, target: str) -> Iterator[Finding]:
    there: Mapping[str, object] = config.models if section == "models" else config.webhooks
    noun = section.removesuffix("s")
    if target not in there:
        yield Finding(path, f"there is no {noun} {units.shown(target)}; {nearest(target, list(there))}")


def _of_model(config: Config, alias: str, model: AnyModel) -> Iterator[Finding]:
    yield from _known(config, ("models", alias, "chain"), model.chain)


def _known(config: Config, path: Path, chain: str | None) -> Iterator[Finding]:
    if chain is not None and chain not in config.chains:
        yield Finding(path, f"there is no chain {units.shown(chain)}; {nearest(chain, list(config.chains))}")


def _chains_of(tenant: Tenant) -> Iterator[str]:
    for name in (tenant.chain, *(key.chain for key in tenant.keys.values())):
        if name is not None:
            yield name
