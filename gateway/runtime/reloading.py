"""Puts changes in force: those of the files when they are asked for, those made by API as they come.

One at a time, and each from what is in force then. Files that are bad, or contradict what was made by API, change
nothing; what is made by API comes into force even while the files are bad.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from gateway.config import archive
from gateway.config.entries import Entry, EntryId
from gateway.config.model import Overrides
from gateway.errors import ConfigError
from gateway.runtime import configuration, in_force
from gateway.runtime.children import Children
from gateway.runtime.configuration import Loaded
from gateway.runtime.failures import StartFailed
from gateway.runtime.in_force import InForce, Refused, Step
from gateway.telemetry.logs import Log
from gateway.telemetry.status import Status


class Reloading:
    """What is in force: `now`. `on_change(before)` is called when that is another one, whose snapshot is archived."""

    def __init__(
        self,
        folder: Path,
        overrides: Overrides,
        state_dir: Path,
        log: Log,
        status: Status,
        on_change: Callable[[InForce], None],
    ) -> None:
        self.now: InForce
        self._folder = folder
        self._overrides = overrides
        self._state_dir = state_dir
        self._log = log
        self._status = status
        self._on_change = on_change
        self._refused: dict[EntryId, Entry | None] = {}
        self._changing = asyncio.Lock()

    def begin(self, files: Loaded, entries: Iterable[Entry]) -> None:
        """The first configuration. Raises StartFailed when it cannot be archived."""
        known = {entry.id: entry for entry in entries}
        step, refused = in_force.begin(files, known.values())
        try:
            self._archive(step)
        except OSError as error:
            raise StartFailed(f"cannot write the state directory {self._state_dir}: {error.strerror}") from error
        self.now = step.after
        self._tell(refused, known)

    async def read_files(self, children: Children) -> None:
        """Reads the files again, and puts them in force if they are good. What they need beside the gateway is started
        before."""
        before = self.now
        try:
            # In a thread: a hundred thousand keys take a while, and the heartbeats must be heard.
            files = await asyncio.to_thread(configuration.read, self._folder, self._overrides, before.files)
            step = await asyncio.to_thread(before.with_files, files)
            await children.start(files.config.backends)  # which may take long: what is made by API does not wait for it
            async with self._changing:
                if self.now is not before:
                    step = await asyncio.to_thread(self.now.with_files, files)
                before = self.now
                if step is not None:
                    await self._put(step)
        except (ConfigError, StartFailed, OSError) as error:
            self._status.refused()
            self._log.error("config_reload_failed", error=str(error), snapshot=self.now.digest)
            return
        self._status.accepted()
        if step is None:
            self._log.info("config_unchanged", snapshot=self.now.digest)
            return
        fixed = configuration.fixed_at_start(before.files.config, files.config)
        if fixed:
            self._log.warning("config_needs_restart", settings=fixed)
        self._log.info("config_reloaded", snapshot=self.now.digest, before=before.digest)
        if self._refused:
            await self.take({})  # the files may have been what they contradicted

    async def take(self, changed: Mapping[EntryId, Entry | None]) -> None:
        """Puts in force what these entries are in the control store now; None: gone. What cannot be is told, and tried
        again with the next change. Raises OSError when the archive cannot be written: nothing is in force then."""
        async with self._changing:
            asked = {**self._refused, **changed}
            step, refused = await asyncio.to_thread(self.now.with_entries, asked)
            before = self.now.digest
            await self._put(step)
            self._tell(refused, asked)
        if step.blobs:
            self._log.info("entries_in_force", count=len(changed), snapshot=self.now.digest, before=before)

    async def _put(self, step: Step) -> None:
        await asyncio.to_thread(self._archive, step)
        before, self.now = self.now, step.after
        if step.blobs:
            self._on_change(before)

    def _archive(self, step: Step) -> None:
        for blob in step.blobs:
            archive.write(self._state_dir, blob)

    def _tell(self, refused: Iterable[Refused], asked: Mapping[EntryId, Entry | None]) -> None:
        found = {each.entry: asked[each.entry] for each in refused}
        for each in refused:
            if each.entry not in self._refused or self._refused[each.entry] != found[each.entry]:
                self._log.error("entry_refused", entry=" ".join(filter(None, each.entry)), error=each.why)
        self._refused = found
        self._status.control.refused = len(found)
        self._status.control.entries = len(self.now.entries)
