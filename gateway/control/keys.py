"""Keys: made with a secret that is shown once, and rotated so that the old one goes on for a stated time."""

from __future__ import annotations

from typing import Final

from gateway.control import issuing, written
from gateway.control.entries import KEYS, Entries
from gateway.control.service import Answer, Asked, Body, Service

NANOS: Final = 10**9
MOST_OVERLAP_S: Final = 90 * 86_400


class Keys:
    """The use cases that are about secrets; all else of keys is in `entries`."""

    def __init__(self, service: Service, entries: Entries) -> None:
        self._service = service
        self._entries = entries

    async def create(self, tenant: str, name: str, document: Body, asked: Asked) -> Answer:
        """Makes a key; `secret` is in the answer, this once. A repeated request is answered without it (null)."""
        issued = issuing.new_key()
        made = await self._entries.create(KEYS, tenant, name, {"hash": issued.hash, **document}, asked)
        return _with_secret(made, issued.secret)

    async def rotate(self, tenant: str, name: str, overlap_s: int, asked: Asked) -> Answer:
        """Gives the key another secret. The one it had is valid for `overlap_s` seconds more (0: no longer), and one
        that had been replaced before that is not any more."""
        issued = issuing.new_key()

        def rotated(document: Body) -> Body:
            changed = {key: value for key, value in document.items() if key != "previous"} | {"hash": issued.hash}
            if overlap_s:
                until_s = self._service.clock.wall_ns() // NANOS + overlap_s
                changed["previous"] = {"hash": document["hash"], "expires": written.instant(until_s)}
            return changed

        return _with_secret(await self._entries.patch(KEYS, tenant, name, rotated, asked), issued.secret)


def _with_secret(answer: Answer, secret: str) -> Answer:
    return Answer(answer.body | {"secret": None if answer.replayed else secret}, answer.version, answer.replayed)
