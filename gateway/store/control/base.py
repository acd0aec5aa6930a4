"""What a control store offers: entries that are changed in whole transactions, and the log of those changes.

A change is durable when `apply` returns. Where it raises ControlStoreDown the change may have happened or not, except
where the message says that nothing was changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

import msgspec

from gateway.config.entries import Entry, EntryId, Kind
from gateway.policy.changes import Change, Head

NEW: Final = 0
"""`Put.expect` of an entry that must not be there yet."""
NEVER_AGAIN: Final = frozenset({"key", "principal"})
"""Kinds whose names are not given twice: records and changes name them for good."""
REMEMBERED_NS: Final = 24 * 3600 * 10**9
"""How long the answer to an idempotency key is kept."""


class Put(NamedTuple):
    """Make an entry, or give one another document."""

    id: EntryId
    document: bytes
    """JSON."""
    expect: int | None = None
    """The version that must stand there now; NEW: none; None: any, but it must be there."""


class Remove(NamedTuple):
    """Take an entry away. A tenant that still has projects or keys in the store is refused, and a project that a key
    names, unless its tenant goes too."""

    id: EntryId
    expect: int | None = None


class Keep(NamedTuple):
    """Change nothing, but refuse the whole unless this entry is there (and, if told, has that version)."""

    id: EntryId
    expect: int | None = None


Step: TypeAlias = Put | Remove | Keep


class Who(msgspec.Struct, frozen=True):
    """Who changes something, as the log keeps it."""

    principal: str
    subject: str
    via: str
    request_id: str = ""


class Once(msgspec.Struct, frozen=True):
    """An idempotency key: what it was sent with is done at most once within a day."""

    principal: str
    key: str
    """SHA-256 of the key."""
    request: str
    """SHA-256 of the request."""
    answer: Callable[[Sequence[Entry]], bytes]
    """What to remember, made of the entries as they became. Called elsewhere than on the event loop."""


class Remembered(msgspec.Struct, frozen=True):
    """What was answered to an idempotency key."""

    request: str
    answer: bytes


class Changed(msgspec.Struct, frozen=True):
    """An entry that changed; `entry` is None where it is gone."""

    kind: Kind
    tenant: str
    name: str
    entry: Entry | None


class Filters(msgspec.Struct, frozen=True):
    """Which changes are wanted; None: any."""

    kind: str | None = None
    tenant: str | None = None
    name: str | None = None
    principal: str | None = None
    since_ns: int | None = None
    """Not before this time."""
    until_ns: int | None = None
    """Before this time."""


class Verified(msgspec.Struct, frozen=True):
    """The log is whole, and the entries are what it says."""

    head: Head

    @property
    def count(self) -> int:
        """How many changes there are."""
        return self.head.seq


class Broken(msgspec.Struct, frozen=True):
    """The log, or the entries, are not what was written."""

    seq: int
    """The change at which it shows."""
    what: str


class ControlStoreDown(Exception):
    """The store does not answer, or cannot write. The message says what an administrator can do."""


class Refused(Exception):
    """The step cannot be done as things stand; nothing of its transaction was. `id`: the entry it is about."""

    def __init__(self, of: EntryId, message: str) -> None:
        super().__init__(message)
        self.id = of


class Conflict(Refused):
    """The entry has another version than was expected: `current` is how it stands."""

    def __init__(self, current: Entry, expected: int) -> None:
        super().__init__(current.id, f"{told(current.id)} is at version {current.version} and not {expected}")
        self.current = current
        self.expected = expected


class Exists(Refused):
    """An entry that was to be made is there: `current`."""

    def __init__(self, current: Entry) -> None:
        super().__init__(current.id, f"{told(current.id)} is there already")
        self.current = current


class Gone(Refused):
    """An entry that was to be made was there, and its name is not given twice: `last` is what it was."""

    def __init__(self, last: Entry) -> None:
        super().__init__(
            last.id, f"{told(last.id)} was removed, and its name is not given twice: records and changes name it"
        )
        self.last = last


class NotThere(Refused):
    """An entry that was to be changed, removed or kept is not there."""

    def __init__(self, of: EntryId) -> None:
        super().__init__(of, f"there is no {told(of)} in the control store")


class NotEmpty(Refused):
    """A tenant that was to be removed has a project or a key, or a project is named by a key: `child` is one of
    them."""

    def __init__(self, of: EntryId, child: EntryId) -> None:
        super().__init__(of, f"{told(of)} {'still has' if of.kind == 'tenant' else 'is named by'} the {told(child)}")
        self.child = child


class Repeated(Exception):
    """The idempotency key was used: nothing was changed now. Compare `remembered.request` with the request's own."""

    def __init__(self, remembered: Remembered) -> None:
        super().__init__("the idempotency key was used before")
        self.remembered = remembered


def told(entry: EntryId) -> str:
    """An entry as messages name it: `key acme/app`."""
    return f"{entry.kind} {entry.tenant}/{entry.name}" if entry.tenant else f"{entry.kind} {entry.name}"


class ControlStore(Protocol):
    """One process's way to the store, on one event loop. Every method may raise ControlStoreDown."""

    async def open(self) -> None:
        """Makes or migrates what is kept, under a lock. Raises ConfigError where this cannot be a control store that
        lasts, or was written by a newer Lockgate; says what to do."""
        ...

    async def close(self) -> None:
        """Lets go of connections and files; notes the head."""
        ...

    async def revision(self) -> int:
        """The number of the last change; 0 before the first."""
        ...

    async def entries(
        self,
        kind: Kind | None = None,
        tenant: str | None = None,
        *,
        after: EntryId | None = None,
        limit: int | None = None,
        prefix: str = "",
        gone: bool = False,
    ) -> list[Entry]:
        """Entries in the order of (kind, tenant, name), by code points: of a kind, of a tenant, whose name begins so,
        behind `after`; with `gone` those too that were removed."""
        ...

    async def entry(self, of: EntryId) -> Entry | None:
        """That entry, if it is there."""
        ...

    async def changed_since(self, seq: int) -> tuple[int, list[Changed]]:
        """The revision, and each entry that any change after `seq` was about, once, as it stands at that revision."""
        ...

    async def apply(
        self, steps: Sequence[Step], who: Who, reason: str, now_ns: int, *, once: Once | None = None
    ) -> list[Entry]:
        """Does all steps in their order, or none; the entries as they became, one for each step (a removed one with
        `gone_ns`). A Put of the document that stands there already changes nothing. Raises Refused (Conflict, Exists,
        Gone, NotThere, NotEmpty), and Repeated where `once` was remembered."""
        ...

    async def changes(self, after_seq: int = 0, limit: int = 100, filters: Filters | None = None) -> list[Change]:
        """Changes behind that number, the oldest first."""
        ...

    async def newest_changes(self, before_seq: int | None, limit: int, filters: Filters | None = None) -> list[Change]:
        """Changes before that number (None: of all), the newest first."""
        ...

    async def verify(self, known: Sequence[Head] = ()) -> Verified | Broken:
        """Reads the whole log, and compares it with the heads noted before, with those that are `known` from elsewhere,
        and with the entries. Does not hold up changes."""
        ...

    async def recall(self, principal: str, key: str, now_ns: int) -> Remembered | None:
        """What `apply` remembered of that idempotency key (its SHA-256) within the last day."""
        ...

    def watch(self) -> AsyncIterator[None]:
        """Yields at once, and then whenever something may have changed, by this process or another. Raises
        ControlStoreDown when it cannot be asked: ask again for another one."""
        ...
