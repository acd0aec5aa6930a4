"""The change log, read and verified."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Struct

from gateway.control import errors
from gateway.control.documents import SECRET_FIELDS
from gateway.control.service import Answer, Body, Service, asking, time_text
from gateway.policy.changes import Change, Head
from gateway.policy.roles import Principal
from gateway.store.control.base import Broken, Filters


class Wanted(Struct, frozen=True):
    """Which changes, the newest first: those before number `before`."""

    before: int | None = None
    limit: int = 100
    filters: Filters = Filters()


class Changes:
    """The use cases."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(self, wanted: Wanted, principal: Principal) -> tuple[list[Body], int | None]:
        """A page of those that the principal may see, and the number before which the next one begins."""
        sees = _seen_by(principal)
        kept: list[Change] = []
        before = wanted.before
        while len(kept) <= wanted.limit:
            found = await self._newest(before, wanted.limit + 1, wanted.filters)
            kept += filter(sees, found)
            if len(found) <= wanted.limit:
                break
            before = found[-1].seq
        page = kept[: wanted.limit]
        return [_shown(change) for change in page], page[-1].seq if len(kept) > wanted.limit else None

    async def _newest(self, before: int | None, limit: int, filters: Filters) -> list[Change]:
        """Of a tenant: its projects' and keys' changes, and its own."""
        found = await asking(self._service.store.newest_changes(before, limit, filters))
        tenant = filters.tenant
        if tenant is None or filters.kind not in (None, "tenant") or filters.name not in (None, tenant):
            return found
        own = msgspec.structs.replace(filters, kind="tenant", tenant=None, name=tenant)
        found = [*found, *await asking(self._service.store.newest_changes(before, limit, own))]
        return sorted(found, key=lambda change: -change.seq)[:limit]

    async def verify(self, known: list[Head]) -> Answer:
        """Reads the whole log. `known` are heads that were noted elsewhere."""
        found = await asking(self._service.store.verify(known))
        if isinstance(found, Broken):
            return Answer({"whole": False, "count": None, "head": None, "seq": found.seq, "problem": found.what})
        return Answer({"whole": True, "count": found.count, "head": str(found.head), "seq": None, "problem": None})


def head_of(text: str) -> Head:
    """A head as a caller names it. Raises errors.Invalid."""
    from gateway.policy import changes

    try:
        return changes.head_of(text)
    except ValueError as error:
        raise errors.Invalid(f"head: {error}", param="head") from error


def _seen_by(principal: Principal) -> Callable[[Change], bool]:
    if principal.sees_all():
        return lambda change: True
    return lambda change: principal.sees(_tenant_of(change))


def _tenant_of(change: Change) -> str:
    return change.name.partition(" ")[0] if change.kind in ("tenant", "erasure") else change.tenant


def _shown(change: Change) -> Body:
    return {
        "seq": change.seq,
        "at": time_text(change.at_ns),
        "principal": change.principal,
        "subject": change.subject,
        "via": change.via,
        "request_id": change.request_id,
        "action": change.action,
        "kind": change.kind,
        "tenant": change.tenant or None,
        "name": change.name,
        "before": _document(change.before),
        "after": _document(change.after),
        "reason": change.reason or None,
        "hash": change.hash,
    }


def _document(raw: bytes | None) -> Body | None:
    """What it was, and of secrets only the beginning of the hash: enough to see that one was replaced."""
    if raw is None:
        return None
    found: Body = msgspec.json.decode(raw)
    return _shortened(found)


def _shortened(document: Body) -> Body:
    return {
        name: f"{value[:15]}…"
        if name == "hash" and isinstance(value, str)
        else _shortened(value)
        if name in SECRET_FIELDS and isinstance(value, dict)
        else value
        for name, value in document.items()
    }
