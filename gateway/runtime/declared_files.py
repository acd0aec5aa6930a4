"""What the configuration's files declare, for those that are not the supervisor: read when they changed, and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from gateway.config import load
from gateway.config.model import Overrides
from gateway.control import errors
from gateway.control.service import Declared
from gateway.errors import ConfigError
from gateway.runtime import watch


class DeclaredFiles:
    """The files of one folder. Where they cannot be read, nothing is said of them: a change could contradict them."""

    def __init__(self, folder: Path, overrides: Overrides | None, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._overrides = overrides
        self._environ = environ
        self._seen: watch.Fingerprint | None = None
        self._known: Declared | None = None
        self._one_at_a_time = asyncio.Lock()

    async def read(self) -> Declared:
        """What the files say now. Raises errors.Unavailable."""
        async with self._one_at_a_time:
            seen = watch.fingerprint(self._folder)
            if self._known is None or seen != self._seen:
                self._known = await asyncio.to_thread(self._load)
                self._seen = seen
            return self._known

    def _load(self) -> Declared:
        try:
            found = load.load_with_places(self._folder, overrides=self._overrides, environ=self._environ)
        except ConfigError as error:
            raise errors.Unavailable(f"the configuration's files cannot be read as they are now: {error}") from error
        return Declared(found.config, found.places)
