"""What is in force: the files' configuration with what was made by API laid over it, and the way to the next one. No
I/O.

Small changes are archived as patches upon the snapshot before. After `LONGEST_CHAIN` of them one holds them all, upon
the last whole snapshot; when that grows too large, a whole one is written: so the archive grows with what changes, and
any snapshot is read through few files.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

from gateway.config import archive, load, overlay, patches, review
from gateway.config.archive import Patch
from gateway.config.entries import Entry, EntryId
from gateway.config.model import Config
from gateway.config.overlay import Overlay, Piece
from gateway.config.patches import Changes
from gateway.config.places import Finding
from gateway.config.shape import Path, dotted
from gateway.errors import ConfigError
from gateway.runtime.configuration import Loaded

LONGEST_CHAIN = 64
"""Patches upon each other."""

SMALL = 1_000
"""Changes that are always a patch; more are one while they are less than `PART` of all there is."""
PART = 4

NONE: Final = Changes()


@dataclass(frozen=True, slots=True)
class Chain:
    """From the last whole snapshot to the one in force."""

    whole: str
    """Its digest."""
    length: int = 0
    since: Changes = NONE
    """All that changed since."""


EntryPiece: TypeAlias = tuple[EntryId, Piece | None]


class Step(NamedTuple):
    """What comes to be in force, and what is archived for it: in this order, the last being its snapshot. None where it
    is the one before."""

    after: InForce
    blobs: Sequence[bytes]


class Refused(NamedTuple):
    """An entry that cannot be in force, and why."""

    entry: EntryId
    why: str


@dataclass(frozen=True, slots=True)
class InForce:
    """One configuration in force. `entries` are those of the control store that are in it or wait for their tenant or
    endpoint."""

    files: Loaded
    entries: Mapping[EntryId, Entry]
    overlay: Overlay
    config: Config
    digest: str
    chain: Chain
    hashes: Mapping[bytes, Path]
    """Where each hash of a key stands."""

    def with_files(self, files: Loaded) -> Step | None:
        """With other files; None where that changes nothing. Raises ConfigError where they contradict entries."""
        laid = self.overlay
        _refuse_both(files, self.entries, laid, laid.tenants)
        config = overlay.laid(files.config, laid, laid.tenants, on=files.config)
        added = patches.between(files.config, config, laid.tenants)
        assert added is not None  # entries change nothing else; what the files say was checked when they were read
        if added:
            _refuse(files, self.entries, overlay.problems(config, added, _hashes_of(files.config)))
        changes = patches.between(self.config, config)
        if changes is not None and not changes:
            return None
        new = replace(self, files=files, config=config)
        return self._step(new, changes)

    def with_entries(self, changed: Mapping[EntryId, Entry | None]) -> tuple[Step, list[Refused]]:
        """With these entries as they are in the store now (None: gone). One that cannot be is refused, and keeps nobody
        else from coming into force; what stood in its place stays."""
        pieces, refused = _pieces(changed)
        new = self._tried(pieces, changed, refused)
        if new.config is self.config:
            return Step(new, []), refused
        names = {name for of, _ in pieces if (name := overlay.tenant_of(of))}
        return self._step(new, patches.between(self.config, new.config, names)), refused

    def _tried(
        self,
        pieces: Sequence[EntryPiece],
        changed: Mapping[EntryId, Entry | None],
        bad: list[Refused],
    ) -> InForce:
        """With all of the pieces but those that cannot be, which are found by halves."""
        if not pieces:
            return self
        try:
            return self._with(pieces, changed)
        except ConfigError as error:
            if len(pieces) == 1:
                bad.append(Refused(pieces[0][0], str(error)))
                return self
        half = len(pieces) // 2
        return self._tried(pieces[:half], changed, bad)._tried(pieces[half:], changed, bad)

    def _with(self, pieces: Sequence[EntryPiece], changed: Mapping[EntryId, Entry | None]) -> InForce:
        """With all of them, and the digest of what was before. Raises ConfigError."""
        laid = overlay.with_pieces(self.overlay, pieces)
        entries = dict(self.entries)
        for of, _ in pieces:
            if (entry := changed[of]) is None:
                entries.pop(of, None)
            else:
                entries[of] = entry
        names = {name for of, _ in pieces if (name := overlay.tenant_of(of))}
        _refuse_both(self.files, entries, laid, names)
        config = overlay.laid(self.files.config, laid, names, on=self.config)
        changes = patches.between(self.config, config, names)
        assert changes is not None  # entries change nothing else
        _refuse(self.files, entries, overlay.problems(config, changes, self.hashes))
        if not changes:
            config = self.config
        hashes = _hashes_after(self.hashes, self.config, config, changes)
        return replace(self, entries=entries, overlay=laid, config=config, hashes=hashes)

    def _step(self, new: InForce, changes: Changes | None) -> Step:
        """To what is `new` but for its digest and chain."""
        if changes is None or not _small(changes, self.hashes):
            return _whole(new)
        blobs: list[bytes] = []
        since = patches.together(self.chain.since, changes)
        if self.chain.length < LONGEST_CHAIN:
            patch, chain = Patch(self.digest, changes), replace(self.chain, length=self.chain.length + 1, since=since)
        elif _small(since, self.hashes):
            patch, chain = Patch(self.chain.whole, since, self.digest), Chain(self.chain.whole, 1, since)
        else:
            blobs.append(archive.encode(self.config))
            whole = archive.digest(blobs[0])
            patch, chain = Patch(whole, changes, self.digest), Chain(whole, 1, changes)
        blobs.append(archive.encode_patch(patch))
        if new.hashes is self.hashes:
            new = replace(new, hashes=_hashes_after(self.hashes, self.config, new.config, changes))
        return Step(replace(new, digest=archive.digest(blobs[-1]), chain=chain), blobs)

    def waiting(self) -> list[EntryId]:
        """The entries that have nothing to be part of."""
        return list(overlay.waiting(self.config, self.overlay))


def begin(files: Loaded, entries: Iterable[Entry]) -> tuple[Step, list[Refused]]:
    """The first one, and the entries that cannot be in it."""
    known = {entry.id: entry for entry in entries}
    pieces, refused = _pieces(known)
    bare = InForce(files, {}, Overlay(), files.config, "", Chain(""), _hashes_of(files.config))
    return _whole(bare._tried(pieces, known, refused)), refused


def _whole(new: InForce) -> Step:
    blob = archive.encode(new.config)
    digest = archive.digest(blob)
    return Step(replace(new, digest=digest, chain=Chain(digest), hashes=_hashes_of(new.config)), [blob])


def _small(changes: Changes, hashes: Mapping[bytes, Path]) -> bool:
    return changes.size <= max(SMALL, len(hashes) // PART)


def _hashes_of(config: Config) -> dict[bytes, Path]:
    return {digest: path for path, digest in review.hashes(config.tenants)}


def _hashes_after(hashes: Mapping[bytes, Path], old: Config, new: Config, changes: Changes) -> Mapping[bytes, Path]:
    def touched(config: Config) -> Iterator[tuple[Path, bytes]]:
        tenants = ((name, config.tenants.get(name), patch) for name, patch in changes.tenants.items())
        return review.hashes({name: patches.touched(each, patch) for name, each, patch in tenants if each is not None})

    if not changes.tenants:
        return hashes
    found = dict(hashes)
    for _, digest in touched(old):
        found.pop(digest, None)
    return found | {digest: path for path, digest in touched(new)}


def _pieces(
    changed: Mapping[EntryId, Entry | None],
) -> tuple[list[EntryPiece], list[Refused]]:
    """What the entries say, in an order in which each finds what it needs; principals are no part of the
    configuration."""
    pieces: list[EntryPiece] = []
    refused = []
    for of, entry in changed.items():
        if of.kind not in overlay.SECTIONS:
            continue
        try:
            pieces.append((of, None if entry is None else overlay.section_of(of.kind, entry.document, {})))
        except ConfigError as error:
            assert entry is not None
            here = f"{overlay.place_of(entry)}: {dotted(overlay.path_of(of))}: "
            refused.append(Refused(of, "\n".join(here + line for line in str(error).splitlines())))
    return sorted(pieces, key=_order), refused


def _order(piece: EntryPiece) -> int:
    """Keys that go, then what comes, tenants first; then projects and tenants that go."""
    of, section = piece
    kinds = ("key", "project", "tenant", "endpoint")
    return kinds.index(of.kind) * 10 if section is None else 5 - kinds.index(of.kind)


def _refuse_both(files: Loaded, entries: Mapping[EntryId, Entry], laid: Overlay, names: Iterable[str]) -> None:
    """Raises ConfigError for what is declared twice."""
    told = []
    for of in overlay.in_both(files.config, laid, names):
        path = overlay.path_of(of)
        here, there = overlay.place_of(entries[of]), files.places.find(path)
        told.append(f"{here}: {dotted(path)}: it is there twice, also in {there}: remove one")
    _raise(told)


def _refuse(files: Loaded, entries: Mapping[EntryId, Entry], findings: Iterable[Finding]) -> None:
    """Raises ConfigError for what contradicts something."""

    def place(path: Path) -> str:
        for of in _entries_at(path):
            if of in entries:
                return overlay.place_of(entries[of])
        return files.places.find(path)

    told = []
    for path, message, other in itertools.islice(findings, load.MAX_PROBLEMS):
        also = f" (see also {place(other)}: {dotted(other)})" if other else ""
        told.append(": ".join(part for part in (place(path), dotted(path), message) if part) + also)
    _raise(told)


def _entries_at(path: Path) -> Iterator[EntryId]:
    """The entries that a path may stand in, the inner first."""
    match path:
        case ("tenants", str(tenant), "keys", str(name), *_):
            yield EntryId("key", tenant, name)
        case ("tenants", str(tenant), "projects", str(name), *_):
            yield EntryId("project", tenant, name)
    if path[:1] == ("tenants",):
        yield EntryId("tenant", "", str(path[1]))


def _raise(told: Sequence[str]) -> None:
    if told:
        raise ConfigError("\n".join(told))
