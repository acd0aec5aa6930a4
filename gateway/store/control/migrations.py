"""The tables of a control store, in the steps in which they came to be; the same on SQLite and PostgreSQL.

    lockgate_control_meta     `schema`: how many of these steps were done · `head`: the last change, SEQ:HASH
    lockgate_control_entries  what there is, and what was removed (`gone_ns`)
    lockgate_control_changes  the chain of changes
    lockgate_control_answers  what was answered to idempotency keys

A step is never edited once it was released: a new one is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.errors import ConfigError
from gateway.policy.changes import START

_ENTRIES_AND_CHANGES: Final = (
    "CREATE TABLE lockgate_control_meta (name {text} PRIMARY KEY, value {text} NOT NULL)",
    """CREATE TABLE lockgate_control_entries (
        kind {text} NOT NULL, tenant {text} NOT NULL, name {text} NOT NULL, document {bytes} NOT NULL,
        version {int} NOT NULL, created_ns {int} NOT NULL, changed_ns {int} NOT NULL, created_by {text} NOT NULL,
        seq {int} NOT NULL, gone_ns {int}, PRIMARY KEY (kind, tenant, name))""",
    "CREATE INDEX lockgate_control_entries_by_change ON lockgate_control_entries (seq)",
    "CREATE INDEX lockgate_control_entries_by_tenant ON lockgate_control_entries (tenant)",
    """CREATE TABLE lockgate_control_changes (
        seq {int} PRIMARY KEY, at_ns {int} NOT NULL, principal {text} NOT NULL, subject {text} NOT NULL,
        via {text} NOT NULL, request_id {text} NOT NULL, action {text} NOT NULL, kind {text} NOT NULL,
        tenant {text} NOT NULL, name {text} NOT NULL, before {bytes}, after {bytes}, reason {text} NOT NULL,
        previous {text} NOT NULL, hash {text} NOT NULL)""",
    "CREATE INDEX lockgate_control_changes_of ON lockgate_control_changes (tenant, name, kind, seq)",
    "CREATE INDEX lockgate_control_changes_by ON lockgate_control_changes (principal, seq)",
    f"INSERT INTO lockgate_control_meta VALUES ('head', '{START}')",
    "INSERT INTO lockgate_control_meta VALUES ('schema', '0')",
)
_ANSWERS: Final = (
    """CREATE TABLE lockgate_control_answers (
        principal {text} NOT NULL, key {text} NOT NULL, request {text} NOT NULL, answer {bytes} NOT NULL,
        at_ns {int} NOT NULL, PRIMARY KEY (principal, key))""",
    "CREATE INDEX lockgate_control_answers_at ON lockgate_control_answers (at_ns)",
)
STEPS: Final = (_ENTRIES_AND_CHANGES, _ANSWERS)

META: Final = "lockgate_control_meta"
SQLITE: Final = {"text": "TEXT", "bytes": "BLOB", "int": "INTEGER"}
POSTGRES: Final = {"text": 'text COLLATE "C"', "bytes": "bytea", "int": "bigint"}
"""Texts in the order of their code points on both: cursors of lists depend on it."""


def pending(found: int, words: Mapping[str, str], where: str) -> list[str]:
    """The statements that bring a store from the schema `found` (0: none yet) to ours, to be run in one transaction.
    Raises ConfigError when it is newer than this version knows."""
    if found > len(STEPS):
        raise ConfigError(
            f"stores.control: {where} was written by a newer Lockgate (its schema is {found}, this version knows "
            f"{len(STEPS)}): start that version, or restore the backup made before it was first started"
        )
    statements = [statement.format(**words) for step in STEPS[found:] for statement in step]
    if statements:
        statements.append(f"UPDATE {META} SET value = '{len(STEPS)}' WHERE name = 'schema'")
    return statements
