"""Follows the control store, and keeps a copy of what it says for a start without it.

The store may be slow, frozen or gone: what was made by API stays as it was last known, and nobody waits.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from gateway.clock import within
from gateway.config import overlay, units
from gateway.config.entries import Entry, EntryId
from gateway.errors import ConfigError
from gateway.runtime import control_mirror
from gateway.runtime.failures import StartFailed
from gateway.store.control.base import ControlStore, ControlStoreDown
from gateway.store.control.opening import open_store
from gateway.telemetry.logs import Log
from gateway.telemetry.status import ControlStatus

TOGETHER_S = 0.1
"""Changes that come within this time are put in force together."""

RETRY_S = 1.0
"""How long after a failure the store is asked again."""

START_PATIENCE_S = 10.0
"""How long the store may take at the start; then the copy serves."""

CLOSE_PATIENCE_S = 2.0
MIRROR_EVERY_S = 1.0
MIRROR_SHARE = 20
"""The copy is written at most so often, and takes at most one part in so many of a thread's time."""

Take = Callable[[Mapping[EntryId, Entry | None]], Awaitable[None]]


def open_written(written: str, state_dir: Path) -> ControlStore:
    """The store that `stores.control` names, as it is written there. To be made inside the running loop; it connects
    when it is opened. Raises ConfigError."""
    try:
        return open_store(units.resolve_env(written, os.environ), state_dir)
    except ValueError as error:
        raise ConfigError(f"stores.control: {error}") from error


class Overlaying:
    """The supervisor's side of the control store."""

    def __init__(self, store: ControlStore, state_dir: Path, log: Log, status: ControlStatus) -> None:
        self._store = store
        self._state_dir = state_dir
        self._log = log
        self._status = status
        self._known: dict[EntryId, Entry] = {}
        self._seq = 0
        self._opened = False
        self._whole = False
        """All entries were read, so that only what changed need be."""
        self._changed = asyncio.Event()
        """Since the copy was written."""
        self._why = ""
        """Why the store was down, as it was told last."""

    async def begin(self) -> list[Entry]:
        """The entries at the start; those of the copy when the store does not answer. Raises ConfigError, and
        StartFailed when there is no copy either."""
        try:
            self._learn(*await within(self._changes(), START_PATIENCE_S))
        except (ControlStoreDown, TimeoutError) as error:
            told = str(error) or f"no answer within {START_PATIENCE_S:g} s"
            kept = await asyncio.to_thread(control_mirror.read, self._state_dir)
            if kept is None:
                raise StartFailed(f"stores.control: {told}; and nothing of it is known from before") from error
            self._known = {entry.id: entry for entry in kept}
            self._down(told)
        else:
            self._up()
        return list(self._known.values())

    async def follow(self, take: Take) -> None:
        """Gives `take` what changed, once for each change, in order. Runs until cancelled."""
        self._changed.set()  # what was read at the start
        while True:
            try:
                await self._open()
                async for _ in self._store.watch():
                    revision, changed = await self._changes()
                    if changed:
                        await take(changed)
                        self._changed.set()
                    self._learn(revision, changed)
                    self._up()
                    await asyncio.sleep(TOGETHER_S)
            except (ControlStoreDown, ConfigError, OSError) as error:
                self._down(str(error))
            await asyncio.sleep(RETRY_S)

    async def mirror(self) -> None:
        """Keeps the copy. Runs until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            began_s = time.monotonic()
            try:
                await asyncio.to_thread(control_mirror.write, self._state_dir, list(self._known.values()))
            except OSError as error:
                self._log.error("control_mirror_failed", error=str(error))
            await asyncio.sleep(max(MIRROR_EVERY_S, MIRROR_SHARE * (time.monotonic() - began_s)))

    async def close(self) -> None:
        """Lets go of the store, once nobody follows it; does not wait long for one that is frozen."""
        try:
            await within(self._store.close(), CLOSE_PATIENCE_S)
        except (ControlStoreDown, TimeoutError) as error:
            self._log.warning("control_store_not_closed", error=str(error))

    async def _open(self) -> None:
        if not self._opened:
            await self._store.open()
            self._opened = True

    async def _changes(self) -> tuple[int, dict[EntryId, Entry | None]]:
        """The store's revision, and what of the configuration is not as it is known. Raises ControlStoreDown,
        ConfigError."""
        await self._open()
        found: dict[EntryId, Entry | None] = {}
        if self._whole:
            revision, changed = await self._store.changed_since(self._seq)
            if revision >= self._seq:
                found.update((EntryId(each.kind, each.tenant, each.name), each.entry) for each in changed)
                return revision, {of: entry for of, entry in found.items() if of.kind in overlay.SECTIONS}
            self._log.warning("control_store_is_older", revision=revision, known=self._seq)
        revision = await self._store.revision()  # before the entries: what changes meanwhile is read twice
        entries = {entry.id: entry for entry in await self._store.entries() if entry.kind in overlay.SECTIONS}
        found.update(dict.fromkeys(self._known.keys() - entries.keys()))
        found.update((of, entry) for of, entry in entries.items() if self._known.get(of) != entry)
        return revision, found

    def _learn(self, revision: int, changed: Mapping[EntryId, Entry | None]) -> None:
        """From now on this is known."""
        for of, entry in changed.items():
            if entry is None:
                self._known.pop(of, None)
            else:
                self._known[of] = entry
        self._seq, self._whole = revision, True

    def _up(self) -> None:
        if not self._status.store_up:
            self._log.info("control_store_up", revision=self._seq, entries=len(self._known))
        self._status.store_up, self._why = True, ""

    def _down(self, why: str) -> None:
        if why != self._why:
            self._log.warning("control_store_down", error=why, entries=len(self._known))
        self._status.store_up, self._why = False, why
