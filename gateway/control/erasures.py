"""Erasing what was said: the keys of kept content are destroyed, and the log says who did it. What requests cost, and
what became of them, stays."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import quote

from gateway.config.entries import EntryId
from gateway.control import documents, errors, names
from gateway.control.service import MOST_TRIES, Answer, Asked, Service, asking, time_text
from gateway.store.control import base
from gateway.store.control.base import Put


class Erasures:
    """The use case."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def erase(self, tenant: str, end_user: str | None, asked: Asked) -> Answer:
        """Destroys the keys of what a tenant, or one of its end users, has said up to now, and logs it. The tenant need
        not be there any more. Raises errors.NotFound for what names none, errors.Unavailable: then it is to be asked
        again."""
        if (known := await self._service.replay(asked)) is not None:
            return known
        if names.problem(tenant) is not None:
            raise errors.NotFound(f"there is no tenant {names.visible(tenant)}")
        try:
            # First: what the log says has been done.
            keys, at_ns = await asyncio.to_thread(self._destroy, tenant, end_user)
        except (OSError, ImportError) as error:
            raise errors.Unavailable(f"nothing was erased: {error}") from error
        of = EntryId("erasure", "", tenant if end_user is None else f"{tenant} {quote(end_user)}")
        body = {"tenant": tenant, "end_user": end_user, "keys": keys, "erased_at": time_text(at_ns)}
        for _ in range(MOST_TRIES):
            there = await asking(self._service.store.entry(of))
            put = Put(of, documents.encoded(body), base.NEW if there is None else there.version)
            try:
                done = await self._service.change([put], asked, lambda _: body)
            except base.Refused:  # somebody else erases it too, just now
                continue
            return Answer(done.body, replayed=done.replayed)
        raise errors.Unavailable("it was erased, and could not be logged: others erase it too. Ask again")

    def _destroy(self, tenant: str, end_user: str | None) -> tuple[int, int]:
        """How many keys there were, and up to when what was said is erased."""
        from gateway.store import content_read
        from gateway.store.content_keys import ContentKeys
        from gateway.store.manifest import LedgerUnreadable

        state_dir = self._service.state_dir
        keys = ContentKeys(state_dir, self._service.environ)
        try:
            # Later than now where the machine's clock was set back since: what was said then has no key of its own yet.
            at_ns = 0
            with contextlib.suppress(LedgerUnreadable):
                at_ns = content_read.latest_ns(state_dir, tenant, end_user)
            at_ns = max(at_ns, self._service.clock.wall_ns())
            return keys.erase(tenant, end_user, at_ns), at_ns
        finally:
            keys.close()
