"""Snapshots: the configurations that were in force, by digest, and what differs between two. Read only.

A snapshot is told by its parts and in the words of `lockgate check`; its callers' hashes and its secrets are not shown.
"""

from __future__ import annotations

import asyncio
import re
from itertools import islice
from typing import Final

import msgspec

from gateway.config import archive
from gateway.config.describe import describe
from gateway.config.model import Config
from gateway.control import errors
from gateway.control.backends import asking_ops
from gateway.control.difference import differences
from gateway.control.service import Answer, Body, Service, time_text
from gateway.errors import ConfigError

MOST_DIFFERENCES: Final = 1_000
_BEGINNING: Final = re.compile(r"[0-9a-f]{8,63}")
"""Of a digest: too short ones would soon mean several."""


class _Readiness(msgspec.Struct):
    snapshot: str


class Snapshots:
    """The use cases."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def history(self, before: str | None, limit: int) -> tuple[list[Body], str | None]:
        """A page of the archived ones, the newest first; `before` is the digest that ended the page before. Raises
        errors.NotFound when that is not archived."""
        found = await asyncio.to_thread(lambda: list(archive.history(self._service.state_dir)))
        start = 0
        if before is not None:
            start = 1 + next((at for at, each in enumerate(found) if each.digest == before), -2)
            if start < 0:
                raise errors.NotFound(f"no snapshot {before} is archived", param="after")
        page = found[start : start + limit]
        items: list[Body] = [_archived(each) for each in page]
        return items, page[-1].digest if len(found) > start + limit else None

    async def current(self) -> Answer:
        """The one in force. Raises errors.Unavailable when no gateway answers."""
        text = await asking_ops(self._service.ops_url, "/readyz")
        try:
            digest = msgspec.json.decode(text or "", type=_Readiness).snapshot
        except msgspec.DecodeError:
            raise errors.Unavailable("no gateway runs here that could say which snapshot is in force") from None
        return await self.get(digest)

    async def get(self, digest: str) -> Answer:
        """One of them, in numbers and in words. Raises errors.NotFound."""
        digest = await self._whole(digest)
        config = await self._read(digest)
        found = await asyncio.to_thread(lambda: list(archive.history(self._service.state_dir)))
        kept = next((each for each in found if each.digest == digest), None)
        body: Body = {"digest": digest, "at": None, "base": None, "bytes": None} if kept is None else _archived(kept)
        return Answer(body | await asyncio.to_thread(self._told, config))

    async def diff(self, old: str, new: str) -> Answer:
        """What differs from `old` to `new`. Raises errors.NotFound."""
        old, new = await self._whole(old), await self._whole(new)
        before, after = await self._read(old), await self._read(new)

        def found() -> Body:
            every = list(islice(differences(before, after), MOST_DIFFERENCES + 1))
            items = [each._asdict() for each in every[:MOST_DIFFERENCES]]
            return {"old": old, "new": new, "items": items, "more": len(every) > MOST_DIFFERENCES}

        return Answer(await asyncio.to_thread(found))

    async def _whole(self, digest: str) -> str:
        """The digest that begins so, if it is the only one; as it is if there is none. Raises errors.Invalid."""
        if not _BEGINNING.fullmatch(digest):
            return digest
        every = await asyncio.to_thread(lambda: list(archive.history(self._service.state_dir)))
        found = [each.digest for each in every if each.digest.startswith(digest)]
        if len(found) > 1:
            raise errors.Invalid(f"{len(found)} snapshots begin with {digest}: write more of the digest")
        return found[0] if found else digest

    async def _read(self, digest: str) -> Config:
        try:
            return await asyncio.to_thread(archive.read, self._service.state_dir, digest)
        except ConfigError as error:
            raise errors.NotFound(f"no snapshot {digest[:80]} can be read: {error}") from error

    def _told(self, config: Config) -> Body:
        return {
            "backends": len(config.backends),
            "models": len(config.models),
            "tenants": len(config.tenants),
            "projects": sum(len(tenant.projects) for tenant in config.tenants.values()),
            "keys": sum(len(tenant.keys) for tenant in config.tenants.values()),
            "description": list(describe(config, self._service.clock.wall_ns() / 1e9)),
        }


def _archived(found: archive.Archived) -> Body:
    return {"digest": found.digest, "at": time_text(found.at_ns), "base": found.base, "bytes": found.bytes}
