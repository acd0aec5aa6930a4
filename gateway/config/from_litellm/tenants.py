"""LiteLLM's teams and virtual keys to our tenants and keys, and its master key to a tenant's. Pure.

LiteLLM keeps a key as the SHA-256 of its secret, and so do we: callers keep theirs. Teams and keys live in its
database; its API lists them (`GET /team/list`, `GET /key/list?return_full_object=true`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.config import units
from gateway.config.from_litellm import meters
from gateway.config.from_litellm.models import Catalogue
from gateway.config.from_litellm.report import (
    METERS,
    Report,
    holds,
    is_reference,
    members,
    named,
    resolved,
    says_nothing,
    unused,
    words,
)
from gateway.config.leaves import AliasPattern
from gateway.config.nodes import Node
from gateway.config.shape import Path, nearest

SHORTEST_SECRET: Final = 20
"""A shorter master key than this could be guessed, as those of examples are."""

_ALL: Final = ("all-proxy-models", "all-team-models")
_NONE: Final = "no-default-models"
_LIMITS: Final = frozenset(
    words("model_max_budget model_rpm_limit model_tpm_limit rpm_limit_type tpm_limit_type team_member_budget")
)
"""Limits that are not carried; those that are: `meters.NAMES`."""
_HISTORY: Final = frozenset(
    words("""
    spend model_spend budget_reset_at budget_id
    created_at updated_at created_by updated_by last_active token key_name user_id
    organization_id org_id
    last_refreshed_at rotation_count auto_rotate key_rotation_at last_rotation_at rotation_interval members_with_roles
    members admins model_id max_team_budget members_count keys litellm_model_table team_memberships user_email
    """)
)
"""What LiteLLM counted or knows of persons; none of it is configuration."""


def from_master_key(node: Node | None, report: Report, environ: Mapping[str, str]) -> dict[str, Any]:
    """A tenant for the master key, where its secret is known and strong."""
    path = ("general_settings", "master_key")
    if node is None or says_nothing(node):
        return {}
    secret = resolved(node.value, environ)
    if secret is None and not is_reference(node.value):
        report.lost(node, path, "expected a text")
        return {}
    if secret is None:
        name = str(node.value).partition("/")[2]
        report.lost(node, path, f"{name} is not set here, so its hash is not known: import where it is, or make a key")
        return {}
    if len(secret) < SHORTEST_SECRET:
        report.lost(node, path, "too short to be safe, or LiteLLM's example: make a key with lockgate keys new")
        return {}
    report.note(node, path, "became the key `master` of the tenant admin: it opens all models, and administers nothing")
    if not is_reference(node.value):
        report.note(node, path, "a secret in a file: the new configuration holds its hash only")
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return {"admin": {"models": ["*"], "keys": {"master": {"hash": f"sha256:{digest}"}}}}


class Tenants:
    """The tenants so far, as they will be written."""

    def __init__(self, catalogue: Catalogue, report: Report, found: dict[str, Any]) -> None:
        self.found = found
        self._catalogue = catalogue
        self._report = report
        self._by_team: dict[str, str] = {}
        self._hashes = {key["hash"] for tenant in found.values() for key in tenant["keys"].values()}

    def add_teams(self, node: Node | None) -> None:
        """The teams of a list."""
        for path, team in _listed(node, "teams", self._report):
            entry = members(team, path, self._report)
            identity = _text(entry, "team_id")
            if identity is None:
                self._report.lost(team, path, "left out: team_id is missing")
                continue
            if "blocked" in entry and not says_nothing(entry["blocked"]):
                self._report.note(team, path, "left out with its keys: it is blocked")
                self._by_team[identity] = ""
                continue
            name = unused(named(_text(entry, "team_alias") or identity), self.found)
            self._by_team[identity] = name
            self.found[name] = {
                "models": self._models(entry.get("models"), path),
                **self._meters(entry, path),
                "keys": {},
            }
            self._tell_rest(entry, path, ("team_id", "team_alias", "models", "blocked"))

    def add_keys(self, node: Node | None) -> None:
        """The keys of a list, each to its team's tenant, or to one of its own where it may use other models."""
        for path, key in _listed(node, "keys", self._report):
            if isinstance(key.value, str):
                self._report.lost(key, path, "only a hash: ask for /key/list?return_full_object=true")
                continue
            entry = members(key, path, self._report)
            written = self._key(key, entry, path)
            if written is None:
                continue
            tenant = self._tenant_of(key, entry, path)
            if tenant is None:
                continue
            keys = self.found[tenant]["keys"]
            name = _text(entry, "key_alias") or _text(entry, "key_name") or "key"
            keys[unused(named(name), keys)] = written | self._meters(entry, path)
            self._tell_rest(entry, path, ("key_alias", "models", "expires", "blocked", "team_id", "key"))

    def _key(self, node: Node, entry: Mapping[str, Node], path: Path) -> dict[str, Any] | None:
        token = _text(entry, "token") or ""
        if not re.fullmatch(r"[0-9a-f]{64}", token):
            self._report.lost(node, path, "left out: token is not the SHA-256 of a secret")
            return None
        if "blocked" in entry and not says_nothing(entry["blocked"]):
            self._report.note(node, path, "left out: it is blocked")
            return None
        written: dict[str, Any] = {"hash": f"sha256:{token}"}
        if written["hash"] in self._hashes:
            self._report.lost(node, path, "left out: a key with this secret is there already")
            return None
        self._hashes.add(written["hash"])
        expires = _text(entry, "expires")
        if expires is not None:
            end = re.sub(r"\.\d+", "", expires)
            end = end if re.search(r"(Z|[+-]\d\d:?\d\d)$", end) else f"{end}Z"
            try:
                units.instant(end)
            except ValueError:
                self._report.lost(node, (*path, "expires"), "left out with its key: not a time that can be read")
                return None
            written["expires"] = end
        return written

    def _tenant_of(self, node: Node, entry: Mapping[str, Node], path: Path) -> str | None:
        team = _text(entry, "team_id")
        home = self._by_team.get(team) if team is not None else None
        if home == "":
            return None  # its team is blocked, which was told
        if team is not None and home is None:
            self._report.note(
                node, (*path, "team_id"), "its team is not in the list of teams: it got a tenant of its own"
            )
        models = self._models(entry.get("models"), path)
        if home is not None and models in (["*"], self.found[home]["models"]):
            return home
        label = _text(entry, "key_alias") or _text(entry, "key_name") or "key"
        if home is None and models == ["*"]:
            name = named(team) if team is not None else "default"
        else:
            name = named(f"{home}-{label}" if home is not None else label)
        if name in self.found and self.found[name]["models"] == models:
            return name
        name = unused(name, self.found)
        self.found[name] = {"models": models, "keys": {}}
        if home is not None and "meters" in self.found[home]:
            self.found[name] = {"models": models, "meters": self.found[home]["meters"], "keys": {}}
            message = "it may use other models than its team, so it got a tenant: the team's limits hold there apart"
            self._report.lost(node, path, message)
        return name

    def _meters(self, entry: Mapping[str, Node], path: Path) -> dict[str, Any]:
        """The key `meters`, where there are any."""
        caps = meters.read(entry, path, self._report)
        spent = entry.get("spend")
        if spent is not None and spent.value and any(slot.quantity == "usd" for slot in caps):
            self._report.note(spent, (*path, "spend"), "what was spent is not carried: the budget begins anew")
        return {"meters": meters.rendered(caps)} if caps else {}

    def _models(self, node: Node | None, path: Path) -> list[str]:
        """What may be used: LiteLLM says all by an empty list."""
        wanted = [] if node is None or not isinstance(node.value, list) else [str(each.value) for each in node.value]
        if not wanted or any(each in _ALL for each in wanted):
            return ["*"]
        models: dict[str, None] = {}
        for each in wanted:
            if each in self._catalogue.groups:
                models.update(dict.fromkeys(self._catalogue.groups[each]))
            elif each in self._catalogue.models or ("*" in each and holds(AliasPattern, each)):
                models[each] = None
            elif each != _NONE:
                assert node is not None
                near = nearest(each, self._catalogue.public())
                self._report.lost(node, (*path, "models"), f"there is no model {units.shown(each)}; {near}")
        return list(models)

    def _tell_rest(self, entry: Mapping[str, Node], path: Path, done: tuple[str, ...]) -> None:
        for name, node in entry.items():
            if name in done or name in _HISTORY or name in meters.NAMES or says_nothing(node):
                continue
            why = (
                METERS
                if name in _LIMITS
                else "not carried: a tenant has models, keys and meters, a key an end and meters"
            )
            self._report.lost(node, (*path, name), why)


def _listed(node: Node | None, name: str, report: Report) -> Iterator[tuple[Path, Node]]:
    """The entries of an answer of LiteLLM's API: a list, or an object that holds it."""
    if node is not None and isinstance(node.value, dict):
        node = node.value.get(name)
    if node is None:
        return
    if not isinstance(node.value, list):
        report.lost(node, (name,), f"expected a list of {name}")
        return
    for index, item in enumerate(node.value):
        yield (name, index), item


def _text(entry: Mapping[str, Node], name: str) -> str | None:
    node = entry.get(name)
    return node.value if node is not None and isinstance(node.value, str) and node.value else None
