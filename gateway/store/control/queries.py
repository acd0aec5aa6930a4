"""SQL that SQLite and PostgreSQL share: rows as entries and changes, and what lists ask for. Placeholders are `$1`…,
for SQLite `?1`…"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.config.entries import Entry, EntryId
from gateway.policy import changes as chain
from gateway.policy.changes import Change, Head
from gateway.store.control.base import Changed, ControlStoreDown, Filters
from gateway.store.control.deciding import Answered

_ENTRY: Final = "kind, name, document, version, created_ns, changed_ns, created_by, seq, tenant, gone_ns"
_CHANGE: Final = (
    "seq, at_ns, principal, subject, via, request_id, action, kind, tenant, name, before, after, reason, previous, hash"
)
_ENTRIES: Final = f"SELECT {_ENTRY} FROM lockgate_control_entries"
_CHANGES: Final = f"SELECT {_CHANGE} FROM lockgate_control_changes"

HEAD: Final = "SELECT value FROM lockgate_control_meta WHERE name = 'head'"
SCHEMA: Final = "SELECT value FROM lockgate_control_meta WHERE name = 'schema'"
SET_HEAD: Final = "UPDATE lockgate_control_meta SET value = $1 WHERE name = 'head'"
ALL_CHANGES: Final = f"{_CHANGES} ORDER BY seq"
ALL_ENTRIES: Final = _ENTRIES
ONE_ENTRY: Final = f"{_ENTRIES} WHERE kind = $1 AND tenant = $2 AND name = $3"
OF_TENANT: Final = f"{_ENTRIES} WHERE tenant = $1"
CHANGED: Final = f"{_ENTRIES} WHERE seq > $1 ORDER BY seq"
ANSWER: Final = "SELECT request, answer FROM lockgate_control_answers WHERE principal = $1 AND key = $2 AND at_ns > $3"
FORGET: Final = "DELETE FROM lockgate_control_answers WHERE at_ns <= $1"
WRITE_ENTRY: Final = (
    f"INSERT INTO lockgate_control_entries ({_ENTRY}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
    "ON CONFLICT (kind, tenant, name) DO UPDATE SET document = excluded.document, version = excluded.version, "
    "created_ns = excluded.created_ns, changed_ns = excluded.changed_ns, created_by = excluded.created_by, "
    "seq = excluded.seq, gone_ns = excluded.gone_ns"
)
WRITE_CHANGE: Final = (
    f"INSERT INTO lockgate_control_changes ({_CHANGE}) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
)
WRITE_ANSWER: Final = (
    "INSERT INTO lockgate_control_answers (principal, key, request, answer, at_ns) VALUES ($1, $2, $3, $4, $5)"
)

_LAST_CHARACTER: Final = "\U0010ffff"


def head_of(rows: Sequence[Sequence[str]]) -> Head:
    """What HEAD found. Raises ControlStoreDown where that is no head."""
    try:
        return chain.head_of(rows[0][0] if rows else "")
    except ValueError as error:
        raise ControlStoreDown(
            "the control store has lost the head of its change log (lockgate_control_meta): restore it from a backup"
        ) from error


def entry_of(row: Sequence[Any]) -> Entry:
    """The entry of a row."""
    return Entry(*row)


def changed_of(row: Sequence[Any]) -> Changed:
    """The entry of a row, for who follows changes."""
    entry = entry_of(row)
    return Changed(entry.kind, entry.tenant, entry.name, entry if entry.gone_ns is None else None)


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """The values of WRITE_ENTRY."""
    return (
        *(entry.kind, entry.name, entry.document, entry.version, entry.created_ns, entry.changed_ns),
        *(entry.created_by, entry.seq, entry.tenant, entry.gone_ns),
    )


def change_of(row: Sequence[Any]) -> Change:
    """The change of a row."""
    return Change(*row)


def change_row(change: Change) -> tuple[Any, ...]:
    """The values of WRITE_CHANGE."""
    return tuple(getattr(change, name) for name in Change.__struct_fields__)


def answer_row(answered: Answered) -> tuple[Any, ...]:
    """The values of WRITE_ANSWER."""
    remembered = answered.remembered
    return (answered.principal, answered.key, remembered.request, remembered.answer, answered.at_ns)


class Query:
    """A SELECT as it is put together."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.values: list[Any] = []
        self._word = " WHERE "

    def where(self, condition: str, *values: Any) -> None:
        """Adds a condition, in which `{}` stands for each of the values."""
        first = len(self.values) + 1
        self.text += self._word + condition.format(*(f"${first + n}" for n in range(len(values))))
        self.values += values
        self._word = " AND "

    def end(self, order: str, limit: int | None) -> Query:
        """Adds the order, and how many at most."""
        self.text += f" ORDER BY {order}"
        if limit is not None:
            self.values.append(limit)
            self.text += f" LIMIT ${len(self.values)}"
        return self


def entries(
    kind: str | None, tenant: str | None, after: EntryId | None, limit: int | None, prefix: str, gone: bool
) -> Query:
    """See `ControlStore.entries`."""
    query = Query(_ENTRIES)
    if kind is not None:
        query.where("kind = {}", kind)
    if tenant is not None:
        query.where("tenant = {}", tenant)
    if after is not None:
        query.where("(kind, tenant, name) > ({}, {}, {})", *after)
    if prefix:
        query.where("name >= {} AND name < {}", prefix, prefix + _LAST_CHARACTER)
    if not gone:
        query.where("gone_ns IS NULL")
    return query.end("kind, tenant, name", limit)


def changes(limit: int, filters: Filters | None, *, after: int | None = None, before: int | None = None) -> Query:
    """The changes behind `after`, the oldest first; else those before `before` (None: all), the newest first."""
    query = Query(_CHANGES)
    if after is not None:
        query.where("seq > {}", after)
    elif before is not None:
        query.where("seq < {}", before)
    wanted = filters or Filters()
    for column in ("tenant", "name", "kind", "principal"):
        if (value := getattr(wanted, column)) is not None:
            query.where(f"{column} = {{}}", value)
    if wanted.since_ns is not None:
        query.where("at_ns >= {}", wanted.since_ns)
    if wanted.until_ns is not None:
        query.where("at_ns < {}", wanted.until_ns)
    return query.end("seq" if after is not None else "seq DESC", limit)
