"""What is made by API, laid over what the files say: entries of the control store become sections of the configuration,
under the same checks. Pure.

Files stay the source of what they declare: an entry that is in both is a problem. An entry that has nothing to be part
of any more (its tenant, its endpoint) waits for it, and does nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from gateway.config import lines, nodes, patches, review, review_chains, review_content, review_meters
from gateway.config.entries import Entry, EntryId, Kind
from gateway.config.leaves import Section
from gateway.config.model import Backend, Config, Key, Servers, Tenant
from gateway.config.model_meters import Project
from gateway.config.nodes import Unreadable
from gateway.config.patches import Changes
from gateway.config.places import Finding, Places
from gateway.config.shape import Path, Shaper
from gateway.errors import ConfigError


class EndpointState(Section, frozen=True, kw_only=True):
    """What an operator says of one endpoint of a backend."""

    drained: bool
    """No new call is sent there."""


Piece: TypeAlias = Tenant | Project | Key | EndpointState
"""What an entry says."""

SECTIONS: Final[Mapping[Kind, type[Piece]]] = {
    "tenant": Tenant,
    "project": Project,
    "key": Key,
    "endpoint": EndpointState,
}
"""The kinds of entries that are part of the configuration, and the section that each is written as."""


def section_of(kind: Kind, document: bytes, environ: Mapping[str, str]) -> Piece:
    """What an entry's document says. Raises ConfigError with all that is wrong in it, a line each; paths begin in the
    document."""
    if kind == "key" and (plain := lines.plain_key(document)) is not None:
        return plain
    problems: list[str] = []

    def report(path: Path, _: nodes.Node, message: str) -> None:
        problems.append(Places().line("", path, message))

    try:
        node = nodes.from_json(document.decode(), "", 0)
    except UnicodeDecodeError:
        raise ConfigError("not UTF-8 text") from None
    except Unreadable as error:
        raise ConfigError(error.message) from None
    if kind == "tenant" and isinstance(node.value, dict):
        for name in ("keys", "projects"):
            if name in node.value:
                report((name,), node, "a tenant's keys and projects are entries of their own")
    found = Shaper(environ, report).build(SECTIONS[kind], node, ())
    if problems or found is None:
        raise ConfigError("\n".join(problems))
    return found


class Own(Struct):
    """What the control store has of one tenant. `tenant` is None where it only adds to a tenant of the files."""

    tenant: Tenant | None = None
    projects: dict[str, Project] = {}
    keys: dict[str, Key] = {}

    def __bool__(self) -> bool:
        return self.tenant is not None or bool(self.projects or self.keys)


class Overlay(Struct, frozen=True):
    """All entries that are part of the configuration. Never changed: `with_pieces` makes another."""

    tenants: Mapping[str, Own] = {}
    drained: frozenset[str] = frozenset()
    """`BACKEND URL` of each drained endpoint."""


def with_pieces(overlay: Overlay, pieces: Iterable[tuple[EntryId, Piece | None]]) -> Overlay:
    """The overlay with these entries as they are now; None: it is gone."""
    tenants, drained = dict(overlay.tenants), set(overlay.drained)
    ours: set[str] = set()
    for of, piece in pieces:
        if of.kind == "endpoint":
            drained.discard(of.name)
            if isinstance(piece, EndpointState) and piece.drained:
                drained.add(of.name)
            continue
        name = tenant_of(of)
        if name not in ours:
            ours.add(name)
            own = tenants.get(name, Own())
            tenants[name] = Own(own.tenant, dict(own.projects), dict(own.keys))
        _put(tenants[name], of, piece)
    for name in ours:
        if not tenants[name]:
            del tenants[name]
    return Overlay(tenants, frozenset(drained))


def _put(own: Own, of: EntryId, piece: Piece | None) -> None:
    match piece:
        case Tenant():
            own.tenant = piece
        case Project():
            own.projects[of.name] = piece
        case Key():
            own.keys[of.name] = piece
        case _ if of.kind == "tenant":
            own.tenant = None
        case _:
            (own.keys if of.kind == "key" else own.projects).pop(of.name, None)


def tenant_of(of: EntryId) -> str:
    """The tenant that an entry changes; "" for none."""
    return of.name if of.kind == "tenant" else of.tenant


def laid(files: Config, overlay: Overlay, names: Iterable[str], on: Config) -> Config:
    """What the files say with the overlay. `on` is what holds for all tenants but those named: `files`, or what was
    laid before over the very same."""
    tenants = dict(on.tenants)
    for name in names:
        found = _laid_tenant(files.tenants.get(name), overlay.tenants.get(name, Own()))
        if found is None:
            tenants.pop(name, None)
        else:
            tenants[name] = found
    backends = {name: _laid_backend(name, backend, overlay.drained) for name, backend in files.backends.items()}
    return msgspec.structs.replace(files, tenants=tenants, backends=backends)


def _laid_tenant(of_files: Tenant | None, own: Own) -> Tenant | None:
    rules = of_files or own.tenant
    if rules is None or not own:
        return of_files
    return msgspec.structs.replace(rules, projects={**own.projects, **rules.projects}, keys={**own.keys, **rules.keys})


def _laid_backend(name: str, backend: Backend, drained: Collection[str]) -> Backend:
    if not drained or not isinstance(backend, Servers):
        return backend
    states = tuple(end.drained or f"{name} {end.url}" in drained for end in backend.endpoints)
    return patches.with_drained(backend, states)


def in_both(files: Config, overlay: Overlay, names: Iterable[str]) -> Iterator[EntryId]:
    """The entries of these tenants that the files have too."""
    for name in names:
        of_files, own = files.tenants.get(name), overlay.tenants.get(name, Own())
        if of_files is None:
            continue
        if own.tenant is not None:
            yield EntryId("tenant", "", name)
        for project in own.projects.keys() & of_files.projects.keys():
            yield EntryId("project", name, project)
        for key in own.keys.keys() & of_files.keys.keys():
            yield EntryId("key", name, key)


def waiting(config: Config, overlay: Overlay) -> Iterator[EntryId]:
    """The entries that have nothing to be part of: their tenant or their endpoint is not there."""
    for name, own in overlay.tenants.items():
        if name not in config.tenants:
            yield from (EntryId("project", name, project) for project in own.projects)
            yield from (EntryId("key", name, key) for key in own.keys)
    known = {
        f"{name} {end.url}"
        for name, backend in config.backends.items()
        if isinstance(backend, Servers)
        for end in backend.endpoints
    }
    for name in sorted(overlay.drained - known):
        yield EntryId("endpoint", "", name)


def problems(config: Config, changes: Changes, hashes: Mapping[bytes, Path]) -> Iterator[Finding]:
    """What `review.problems` would find in a configuration that was good before these changes were made to it.
    `hashes`: where each hash of a key stood before."""
    pieces: dict[str, Tenant] = {}
    for name, patch in changes.tenants.items():
        tenant = config.tenants.get(name)
        if tenant is None or patch is None:
            continue
        pieces[name] = patches.touched(tenant, patch)
        fewer = None in patch.projects.values()
        checked = msgspec.structs.replace(pieces[name], projects=tenant.projects)
        if fewer:
            checked = msgspec.structs.replace(checked, keys=tenant.keys)
        yield from review_meters.of_tenant(config, name, checked)
        yield from review_chains.of_tenant(config, name, checked)
        yield from review_content.of_tenant(config, name, checked)
    first: dict[bytes, Path] = {}
    for path, digest in review.hashes(pieces):
        there = first.setdefault(digest, path)
        if there == path:
            there = hashes.get(digest, path)
        if there != path and review.hash_at(config, there) == digest:
            yield Finding(path, review.SAME_HASH, review.key_of(there))


def path_of(of: EntryId) -> Path:
    """Where an entry stands in the configuration."""
    match of.kind:
        case "tenant":
            return ("tenants", of.name)
        case "project":
            return ("tenants", of.tenant, "projects", of.name)
        case "key":
            return ("tenants", of.tenant, "keys", of.name)
        case _:
            return ("backends", of.name.partition(" ")[0], "endpoints")


def place_of(entry: Entry) -> str:
    """An entry as problems name its place: `control store (created by alice at 2026-11-22T10:00:00Z)`."""
    at = datetime.fromtimestamp(entry.created_ns // 10**9, UTC)
    return f"control store (created by {entry.created_by} at {at:%Y-%m-%dT%H:%M:%SZ})"
