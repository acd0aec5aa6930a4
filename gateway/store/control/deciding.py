"""What becomes of requests to change entries: pure, and the same for every store.

A store reads the entries that are asked about, lets `Working` decide, and writes what came of it in one transaction.
Requests that wait together are decided one after the other and written together; a refused one leaves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from gateway.config.entries import Entry, EntryId
from gateway.policy.changes import Change, Head, sealed
from gateway.store.control.base import (
    NEVER_AGAIN,
    NEW,
    Conflict,
    Exists,
    Gone,
    Keep,
    NotEmpty,
    NotThere,
    Once,
    Put,
    Remembered,
    Remove,
    Repeated,
    Step,
    Who,
)

_REPLACEMENT: Final = "\ufffd"


class Request(msgspec.Struct, frozen=True):
    """What one call of `ControlStore.apply` asks for."""

    steps: Sequence[Step]
    who: Who
    reason: str
    now_ns: int
    once: Once | None = None


class Answered(msgspec.Struct, frozen=True):
    """The answer to an idempotency key, to be kept."""

    principal: str
    key: str
    remembered: Remembered
    at_ns: int


class Working:
    """The store as it becomes while requests are decided, and what is to be written of it."""

    def __init__(
        self, head: Head, found: Iterable[Entry], remembered: Mapping[tuple[str, str], Remembered] | None = None
    ) -> None:
        """`found`: the entries of `asked`, and those of the tenants of `emptied`, gone ones too; `remembered`: what is
        known of the requests' idempotency keys, by principal and key."""
        self.head = head
        self._entries = {entry.id: entry for entry in found}
        self._remembered = dict(remembered or {})
        self.written: dict[EntryId, Entry] = {}
        self.changes: list[Change] = []
        self.answered: list[Answered] = []

    def do(self, request: Request) -> list[Entry]:
        """One entry for each step. Raises Refused or Repeated, and is then as it was."""
        once = request.once
        if once is not None and (before := self._remembered.get((once.principal, once.key))) is not None:
            raise Repeated(before)
        attempt = _Attempt(self._entries, self.head, request)
        became = [attempt.step(step) for step in request.steps]
        if once is not None:
            answer = Remembered(once.request, once.answer(became))
            self._remembered[once.principal, once.key] = answer
            self.answered.append(Answered(once.principal, once.key, answer, request.now_ns))
        self._entries.update(attempt.staged)
        self.written.update(attempt.staged)
        self.changes += attempt.changes
        self.head = attempt.head
        return became


class _Attempt:
    """One request over what there is, until it is known to succeed."""

    def __init__(self, entries: Mapping[EntryId, Entry], head: Head, request: Request) -> None:
        self._entries = entries
        self._request = request
        self.head = head
        self.staged: dict[EntryId, Entry] = {}
        self.changes: list[Change] = []
        self._leaving = {tenant.name for tenant in _removed([request]) if tenant.kind == "tenant"}
        """The tenants that go: of them nothing may be left anyway."""

    def step(self, step: Step) -> Entry:
        if isinstance(step, Put):
            return self._put(step)
        current = self._there(step.id, step.expect)
        if isinstance(step, Keep):
            return current
        if step.id.kind == "tenant":
            self._demand_empty(step.id)
        elif step.id.kind == "project" and step.id.tenant not in self._leaving:
            self._demand_unnamed(step.id)
        return self._changed(step.id, current, None)

    def _put(self, step: Put) -> Entry:
        current = self._now(step.id)
        if step.expect == NEW:
            if current is not None and current.gone_ns is None:
                raise Exists(current)
            if current is not None and step.id.kind in NEVER_AGAIN:
                raise Gone(current)
        else:
            current = self._there(step.id, step.expect)
            if current.document == step.document:
                return current
        return self._changed(step.id, current, step.document)

    def _now(self, of: EntryId) -> Entry | None:
        return self.staged.get(of) or self._entries.get(of)

    def _there(self, of: EntryId, expect: int | None) -> Entry:
        current = self._now(of)
        if current is None or current.gone_ns is not None:
            raise NotThere(of)
        if expect is not None and current.version != expect:
            raise Conflict(current, expect)
        return current

    def _demand_empty(self, tenant: EntryId) -> None:
        for of in {*self._entries, *self.staged}:
            entry = self._now(of)
            if of.tenant == tenant.name and entry is not None and entry.gone_ns is None:
                raise NotEmpty(tenant, of)

    def _demand_unnamed(self, project: EntryId) -> None:
        for of in {*self._entries, *self.staged}:
            if of.kind != "key" or of.tenant != project.tenant:
                continue
            entry = self._now(of)
            if entry is not None and entry.gone_ns is None and project.name in _projects(entry.document):
                raise NotEmpty(project, of)

    def _changed(self, of: EntryId, current: Entry | None, document: bytes | None) -> Entry:
        there = current if current is not None and current.gone_ns is None else None
        who = self._request.who
        change = Change(
            seq=0,
            at_ns=self._request.now_ns,
            principal=_kept(who.principal),
            subject=_kept(who.subject),
            via=_kept(who.via),
            request_id=_kept(who.request_id),
            action="delete" if document is None else "create" if there is None else "update",
            kind=of.kind,
            tenant=of.tenant,
            name=of.name,
            before=None if there is None else there.document,
            after=document,
            reason=_kept(self._request.reason),
            previous="",
        )
        change = sealed(change, self.head)
        self.head = change.head
        self.changes.append(change)
        self.staged[of] = became(current, change)
        return self.staged[of]


def became(current: Entry | None, change: Change) -> Entry:
    """What a change made of an entry (None: there never was one): a log, read from its begin, gives all entries."""
    new = current is None or current.gone_ns is not None
    document = change.after if change.after is not None else change.before
    return Entry(
        change.kind,  # type: ignore[arg-type]  # what was written, or a forgery that equals no entry
        change.name,
        document if document is not None else b"",
        1 if current is None else current.version + 1,
        change.at_ns if current is None or new else current.created_ns,
        change.at_ns,
        change.principal if current is None or new else current.created_by,
        change.seq,
        tenant=change.tenant,
        gone_ns=change.at_ns if change.after is None else None,
    )


def asked(requests: Iterable[Request]) -> set[EntryId]:
    """The entries that must be known to decide."""
    return {step.id for request in requests for step in request.steps}


def emptied(requests: Iterable[Request]) -> set[str]:
    """The tenants of which all entries must be known: something that others may need is removed."""
    return {
        of.name if of.kind == "tenant" else of.tenant for of in _removed(requests) if of.kind in ("tenant", "project")
    }


def _removed(requests: Iterable[Request]) -> Iterator[EntryId]:
    for request in requests:
        for step in request.steps:
            if isinstance(step, Remove):
                yield step.id


class _Key(msgspec.Struct):
    """What of a key's document is of interest here."""

    projects: tuple[str, ...] = ()


_key_decoder: Final = msgspec.json.Decoder(_Key)


def _projects(document: bytes) -> tuple[str, ...]:
    """Those that a key may work for."""
    try:
        return _key_decoder.decode(document).projects
    except msgspec.MsgspecError:  # not of our writing
        return ()


def _kept(text: str) -> str:
    """The text as every store can keep it: PostgreSQL takes no NUL, and none takes half a character."""
    return text.replace("\0", _REPLACEMENT).encode("utf-8", "replace").decode("utf-8")
