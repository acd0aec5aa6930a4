"""The chain of changes: each holds the hash of the one before it, so that nobody edits, drops or moves one unseen.

A hash is the SHA-256 of everything else the change says, the hash before it included, in one encoding: MessagePack of
an array of the fields in their order. What a chain cannot show by itself is that its end was cut off: that takes a head
which was noted elsewhere. Pure.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import astuple

_encode = msgspec.msgpack.Encoder().encode


class Head(NamedTuple):
    """The end of a chain: how many changes, and the hash of the last one."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


START: Final = Head(0, "0" * 64)
"""The end of a chain without changes."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """One change of one entry, as it is kept for good."""

    seq: int
    """1 for the first; no number is left out."""
    at_ns: int
    """Unix nanoseconds, by the clock of the machine that changed it."""
    principal: str
    subject: str
    """Who the principal was then: a person or a machine."""
    via: str
    """`api` or `cli`."""
    request_id: str
    action: str
    """`create`, `update` or `delete`."""
    kind: str
    tenant: str
    name: str
    before: bytes | None
    """The document (JSON) that was; None where there was none."""
    after: bytes | None
    """The document that is now; None after a removal."""
    reason: str
    previous: str
    """The hash of the change before it."""
    hash: str = ""
    """Stays the last field: it is made of those before it."""

    @property
    def head(self) -> Head:
        """The chain's end, where this is the last change."""
        return Head(self.seq, self.hash)


class ChainBroken(Exception):
    """The changes are not what was written. `seq`: the first one that shows it; `what` says how."""

    def __init__(self, seq: int, what: str) -> None:
        super().__init__(what)
        self.seq = seq
        self.what = what


def hash_of(change: Change) -> str:
    """The hash that belongs to the change: 64 hexadecimal digits."""
    return hashlib.sha256(_encode(astuple(change)[:-1])).hexdigest()


def sealed(change: Change, head: Head) -> Change:
    """The change as the next one after `head`."""
    numbered = msgspec.structs.replace(change, seq=head.seq + 1, previous=head.hash)
    return msgspec.structs.replace(numbered, hash=hash_of(numbered))


def follow(head: Head, change: Change) -> Head:
    """The step of a verification: the head after `change`. Raises ChainBroken where it does not continue the chain."""
    seq = head.seq + 1
    if change.seq != seq:
        raise ChainBroken(seq, f"change {seq} is missing: after {head.seq} comes {change.seq}")
    if change.previous != head.hash:
        raise ChainBroken(seq, f"change {seq} does not continue change {head.seq}: one of them was replaced or moved")
    if hash_of(change) != change.hash:
        raise ChainBroken(seq, f"change {seq} was edited: what it says is not what its hash was made of")
    return change.head


def head_of(text: str) -> Head:
    """`SEQ:HASH`, as a head is printed. Raises ValueError."""
    seq, _, digest = text.strip().partition(":")
    if not (seq.isascii() and seq.isdigit()) or len(digest) != len(START.hash) or set(digest) - set("0123456789abcdef"):
        raise ValueError(f"{text!r} is no head of a change log: SEQ:HASH, a number and 64 hexadecimal digits")
    return Head(int(seq), digest)
