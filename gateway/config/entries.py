"""What the control store keeps beside the files: entries whose documents are written as the files' sections are."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import msgspec

Kind: TypeAlias = Literal["tenant", "project", "key", "principal", "endpoint", "erasure"]


class EntryId(NamedTuple):
    """Which entry; in the order in which entries are listed."""

    kind: Kind
    tenant: str
    """Whose project or key; empty for the other kinds."""
    name: str
    """Of an endpoint: `BACKEND URL`; of an erasure: `TENANT`, or `TENANT END_USER` (quoted as
    in a URL)."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry as it stands. Times are Unix nanoseconds."""

    kind: Kind
    name: str
    document: bytes
    """JSON: the section of a tenant, project or key as a file would hold it (no secrets: hashes); of a principal its
    subject, hash and roles; of an endpoint `{"drained": true}`; of an erasure what was erased, and when."""
    version: int
    """1 when it is made, one more with each change, also with its removal."""
    created_ns: int
    changed_ns: int
    created_by: str
    """The principal that made it."""
    seq: int
    """The number of the change that made it what it is."""
    tenant: str = ""
    gone_ns: int | None = None
    """When it was removed; its document is then the last one it had."""

    @property
    def id(self) -> EntryId:
        """Which entry it is."""
        return EntryId(self.kind, self.tenant, self.name)
