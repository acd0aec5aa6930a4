"""A configuration checked before it is put anywhere: what `lockgate check` would say of it, on this machine's
environment."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from gateway.config import load, price_map, review
from gateway.config.describe import describe
from gateway.control import errors
from gateway.control.service import Answer, Body, Service
from gateway.errors import ConfigError

MOST_DOUBTS: Final = 100
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.(yaml|yml|jsonl)", re.ASCII)


class Checking:
    """The use case. One check at a time: each may take a second of the processor."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._one_at_a_time = asyncio.Lock()

    async def check(self, files: Mapping[str, str]) -> Answer:
        """What is wrong with these files (names → texts), what is doubtful, and what they would run. Files on this
        machine that they name are not looked for. Raises errors.Invalid for a name that no such file has."""
        for name in files:
            if name != price_map.FILE and not _FILE.fullmatch(name):
                told = f"files: {name[:100]!r} is no file of a configuration: NAME.yaml, NAME.jsonl or {price_map.FILE}"
                raise errors.Invalid(told, param="files")
        async with self._one_at_a_time:
            return Answer(await asyncio.to_thread(self._checked, files))

    def _checked(self, files: Mapping[str, str]) -> Body:
        now_s = self._service.clock.wall_ns() / 1e9
        with tempfile.TemporaryDirectory(prefix="lockgate-check-") as folder:
            for name, text in files.items():
                Path(folder, name).write_text(text, encoding="utf-8", errors="surrogatepass")
            try:
                config, places = load.load_with_places(Path(folder), environ=self._service.environ)
            except ConfigError as error:
                problems = str(error).replace(f"{folder}: ", "").replace(folder, "").splitlines()
                return {"ok": False, "problems": problems, "doubts": [], "description": []}
        doubts = [places.show(doubt) for doubt in islice(review.doubts(config, now_s), MOST_DOUBTS)]
        return {"ok": True, "problems": [], "doubts": doubts, "description": list(describe(config, now_s))}
