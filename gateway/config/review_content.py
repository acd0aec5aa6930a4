"""What must hold where what is said is kept: problems that stop a start, and doubts for `lockgate check`. Pure, but
that it looks for a package and into the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec

from gateway.config import snapshot_chains, units
from gateway.config.model import Config, Tenant
from gateway.config.places import Finding
from gateway.config.shape import Path

LEAST_KEY_CHARS = 32


def problems(config: Config) -> Iterator[Finding]:
    """Everything for which a configuration must not run."""
    for name, tenant in config.tenants.items():
        yield from of_tenant(config, name, tenant)


def of_tenant(config: Config, name: str, tenant: Tenant) -> Iterator[Finding]:
    """The same of one tenant, which may be less than all of it."""
    content = tenant.content
    if content is None:
        return
    path: Path = ("tenants", name, "content")
    if find_spec("cryptography") is None:
        yield Finding(path, "what is kept is encrypted: pip install 'lockgate[content]'")
    if content.key is not None and not re.fullmatch(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", content.key):
        yield Finding((*path, "key"), "write ${NAME}, and set it: a key in a file would be kept beside what it locks")
    if content.record == "masked":
        yield from _unmasked(config, name, tenant)


def doubts(config: Config) -> Iterator[Finding]:
    """Keys that are not there, or can be guessed: nothing of these tenants is kept until they are set."""
    for name, tenant in config.tenants.items():
        if tenant.content is not None and tenant.content.key is not None:
            path: Path = ("tenants", name, "content", "key")
            try:
                key = units.resolve_env(tenant.content.key, os.environ)
            except ValueError as error:
                yield Finding(path, f"{error}: nothing is kept until it is")
                continue
            if len(key) < LEAST_KEY_CHARS:
                told = f"{tenant.content.key} has fewer than {LEAST_KEY_CHARS} characters: nothing is kept"
                yield Finding(path, told)


def _unmasked(config: Config, name: str, tenant: Tenant) -> Iterator[Finding]:
    """The chains of a tenant, and of its keys, that mask nothing of what callers say."""
    if not _masks(config, tenant.chain) and (not tenant.keys or any(key.chain is None for key in tenant.keys.values())):
        what = f"the chain {units.shown(tenant.chain)} masks nothing" if tenant.chain else "this tenant has no chain"
        path: Path = ("tenants", name, "content", "record")
        yield Finding(path, f"masked, but {what} of what callers say: name a chain that does, or write full")
    for key_name, key in tenant.keys.items():
        if key.chain is not None and not _masks(config, key.chain):
            path = ("tenants", name, "keys", key_name, "chain")
            told = f"the chain {units.shown(key.chain)} masks nothing of what callers say"
            yield Finding(path, f"{told}, and this tenant's content is recorded masked: name a chain that does")


def _masks(config: Config, chain: str | None) -> bool:
    """Whether what callers say is masked; of a chain that cannot be made, others tell what is wrong."""
    if chain is None:
        return False
    from guardrails.chain import ChainError
    from guardrails.verdict import Action, Phase

    try:
        made = snapshot_chains.made(chain, config.chains.get(chain, ()))
    except ChainError:
        return True
    if chain not in config.chains:
        return True
    masking = (Action.MASK, Action.MASK_REVERSIBLE)
    return any(link.enforced and link.action in masking and Phase.INPUT in link.phases for link in made.links)
