"""Admin principals: named, with hashed tokens and roles; and whose a token is.

The configured admin token is `root`, an owner that stands in no store and cannot be changed here. Once the store has an
owner whose token does not end it always has one: the last one cannot be removed, demoted or given an end, so that the
configured token can be taken away without locking everybody out.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from gateway.config import units
from gateway.config.entries import Entry, EntryId
from gateway.control import documents, errors, issuing, names
from gateway.control.entries import Listed, Query
from gateway.control.keys import NANOS
from gateway.control.service import MOST_TRIES, Answer, Asked, Body, Service, asking, refusal
from gateway.policy import roles
from gateway.policy.roles import Grant, Principal
from gateway.store.control import base
from gateway.store.control.base import Keep, Put, Remove, Step

ROOT: Final = Principal("root", "the configured admin token", (Grant("owner"),))
RESERVED: Final = ("root", "local")
"""Names that are ours: the configured token, and the command on the machine itself."""


class _Document(msgspec.Struct, frozen=True):
    hash: str
    roles: tuple[Grant, ...]
    subject: str = ""
    expires: str | None = None


class Tokens:
    """Finds the principal of a token. The store is asked on every call whether anything changed."""

    def __init__(self, service: Service, root_hash: str | None) -> None:
        self._service = service
        self._root_hash = root_hash
        self._revision = -1
        self._known: dict[str, tuple[Principal, int | None]] = {}

    async def principal_of(self, token: str) -> Principal | None:
        """Whose token it is; None when it is nobody's, or has ended. Raises errors.Unavailable when the store cannot be
        asked, except for the configured token."""
        if self.is_root(token):
            return ROOT
        await self._refresh()
        presented = issuing.hash_of(token)
        # Looked up by the hash of what was presented: how long that takes tells nothing of the tokens there are.
        found = self._known.get(presented)
        if found is None:
            return None
        principal, ends_s = found
        return principal if ends_s is None or self._service.clock.wall_ns() < ends_s * NANOS else None

    def is_root(self, token: str) -> bool:
        """Whether it is the configured token."""
        return self._root_hash is not None and hmac.compare_digest(issuing.hash_of(token), self._root_hash)

    async def _refresh(self) -> None:
        store = self._service.store
        revision = await asking(store.revision())
        if revision == self._revision:
            return
        known = {}
        for entry in await asking(store.entries("principal")):
            document = _read(entry)
            ends_s = None if document.expires is None else units.instant(document.expires)
            known[document.hash] = (Principal(entry.name, document.subject, document.roles), ends_s)
        self._known, self._revision = known, revision


class Principals:
    """The use cases."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(self, query: Query) -> Listed:
        """A page in the order of the names."""
        after = EntryId("principal", "", query.after) if query.after else None
        found = await asking(
            self._service.store.entries(
                "principal", after=after, limit=query.limit + 1, prefix=query.prefix, gone=query.gone
            )
        )
        page = found[: query.limit]
        return Listed([_shown(entry) for entry in page], page[-1].name if len(found) > query.limit else None)

    async def get(self, name: str) -> Answer:
        """One of them. Raises errors.NotFound."""
        entry = await self._stored(name)
        return Answer(_shown(entry), entry.version)

    async def create(self, name: str, document: Body, asked: Asked) -> Answer:
        """Makes a principal; `token` is in the answer, this once."""
        if (known := await self._service.replay(asked)) is not None:
            return _with_token(known, "")
        wrong = names.problem(name)
        if wrong is None and name in RESERVED:
            wrong = f"{name} is a name of ours"
        if wrong is not None:
            raise errors.Invalid(f"name: {wrong}", param="name")
        issued = issuing.new_token()
        made = {"hash": issued.hash, **document}
        _check(made)
        put = Put(EntryId("principal", "", name), documents.encoded(made), base.NEW)
        return _with_token(await _again(lambda: self._change([put], asked), name, asked), issued.secret)

    async def patch(self, name: str, patch: Body, asked: Asked) -> Answer:
        """Changes what is named. Raises errors.LastOwner when no owner would be left."""

        async def once() -> Answer:
            entry = await self._stored(name)
            document = documents.merged(documents.decoded(entry), patch)
            after = _check(document)
            steps = [] if _owns(after) else await self._other_owner(entry)
            return await self._change([*steps, self._put(entry, document, asked)], asked)

        return await _again(once, name, asked)

    async def rotate(self, name: str, asked: Asked) -> Answer:
        """Gives the principal another token; the old one is no longer valid."""
        if (known := await self._service.replay(asked)) is not None:
            return _with_token(known, "")
        issued = issuing.new_token()

        async def once() -> Answer:
            entry = await self._stored(name)
            document = documents.decoded(entry) | {"hash": issued.hash}
            return await self._change([self._put(entry, document, asked)], asked)

        return _with_token(await _again(once, name, asked), issued.secret)

    async def remove(self, name: str, asked: Asked) -> Answer:
        """Takes the principal away; its token is no longer valid. Raises errors.LastOwner."""

        async def once() -> Answer:
            entry = await self._stored(name)
            steps = await self._other_owner(entry)
            # As it was read: one that was made an owner meanwhile is not the one that was looked at.
            expect = entry.version if asked.expect is None else asked.expect
            return await self._change([*steps, Remove(entry.id, expect)], asked)

        return await _again(once, name, asked)

    def _put(self, entry: Entry, document: Body, asked: Asked) -> Put:
        return Put(entry.id, documents.encoded(document), entry.version if asked.expect is None else asked.expect)

    async def _stored(self, name: str) -> Entry:
        if name == ROOT.name:
            raise errors.NotFound("root is the configured admin token (server.control.admin_token): no entry")
        of = EntryId("principal", "", name)
        entry: Entry | None = None if names.problem(name) else await asking(self._service.store.entry(of))
        if entry is None:
            raise errors.NotFound(f"there is no principal {names.visible(name)}")
        return entry

    async def _other_owner(self, entry: Entry) -> list[Step]:
        """What must stay so that an owner is left when `entry` is none any more. Raises errors.LastOwner."""
        if not _owns(_read(entry)):
            return []
        for other in await asking(self._service.store.entries("principal")):
            if other.name != entry.name and _owns(_read(other)):
                return [Keep(other.id, other.version)]
        raise errors.LastOwner(
            f"{entry.name} is the last owner in the control store: make another one first, one without an end"
        )

    async def _change(self, steps: Sequence[Step], asked: Asked) -> Answer:
        return await self._service.change(steps, asked, lambda entries: _shown(entries[-1]))


async def _again(once: Callable[[], Awaitable[Answer]], name: str, asked: Asked) -> Answer:
    """What `once` answers, done again where somebody changed meanwhile what it had read: the other owner, or, when no
    version was named, the principal itself."""
    tries = 0
    while True:
        try:
            return await once()
        except base.Refused as error:
            tries += 1
            moved = error.id.name != name or (isinstance(error, base.Conflict) and asked.expect is None)
            if not moved or tries >= MOST_TRIES:
                raise refusal(error, _shown) from error


def _owns(document: _Document) -> bool:
    return document.expires is None and any(grant.role == "owner" for grant in document.roles)


def _read(entry: Entry) -> _Document:
    return msgspec.json.decode(entry.document, type=_Document)


def _check(document: Body) -> _Document:
    """Raises errors.Invalid."""
    try:
        found = msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise errors.Invalid(str(error)) from error
    if (wrong := roles.problem(found.roles)) is not None:
        raise errors.Invalid(f"roles: {wrong}", param="roles")
    for grant in found.roles:
        if grant.tenant is not None and (wrong := names.problem(grant.tenant)) is not None:
            raise errors.Invalid(f"roles: tenant: {wrong}", param="roles")
    if found.expires is not None:
        try:
            units.instant(found.expires)
        except ValueError as error:
            raise errors.Invalid(f"expires: {error}", param="expires") from error
    return found


def _shown(entry: Entry) -> Body:
    body = documents.shown(entry)
    return {key: value for key, value in body.items() if key not in ("source", "place")}


def _with_token(answer: Answer, token: str) -> Answer:
    return Answer(answer.body | {"token": None if answer.replayed else token}, answer.version, answer.replayed)
