"""A head that was parsed once need not be parsed again when the same bytes come again, as they do on a kept connection.

Clients and servers send the same head with every message of a connection, but for the digits of its length (and, of
answers, the date, once a second). Only what the parser has taken for one whole message is learnt, and a message is
known only if it is the same byte for byte, length apart, and has exactly the body it announces; whatever else comes
goes to the parser. So nothing is read differently for being known: it is an answer looked up, not a second parser.
"""

from __future__ import annotations

import re
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MAX_HEAD_BYTES: Final = 4096
"""Longer heads are not worth keeping, one for each connection."""

TRIES: Final = 4
"""Heads in a row that were learnt in vain, before only one in `EVERY` is tried: some carry an id of their own."""
EVERY: Final = 32

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})\r\n", re.IGNORECASE)


class KnownHead(Generic[T]):
    """The last head learnt of a connection. `value` is what it meant: whatever the parser's user keeps of it."""

    __slots__ = ("_after", "_before", "_head", "_misses", "_size", "value")

    value: T

    def __init__(self) -> None:
        self._before = b""
        self._after = b""  # nothing is known
        self._size = 0
        """Of the message that `_head` is for."""
        self._head = b""
        """As it must be; b"" when no message of that size has the known head."""
        self._misses = 0

    def body(self, data: bytes) -> bytes | None:
        """The body, if `data` is one whole message with the known head; else None."""
        size = len(data)
        if size != self._size:
            self._size = size
            self._head = self._head_of(size)
        head = self._head
        if head and data.startswith(head):
            self._misses = 0
            return data[len(head) :]
        return None

    def _head_of(self, size: int) -> bytes:
        """The known head as a message of so many bytes has it: its size leaves room for one length only."""
        room = size - len(self._before) - len(self._after)
        if not self._after or room <= 0:
            return b""
        length = room - len(b"%d" % room)
        if len(b"%d" % (length + 1)) + length + 1 == room:  # one digit less than the room itself has
            length += 1
        digits = b"%d" % length
        return self._before + digits + self._after if length + len(digits) == room else b""

    def learn(self, data: bytes, value: T) -> None:
        """`data` was one whole message with a body, nothing before and nothing behind it."""
        self._misses += 1
        if self._misses > TRIES and self._misses % EVERY:
            return
        end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        found = _LENGTH.search(data, 0, end + 2) if end > 0 else None
        if found is not None:
            at, behind = found.span(1)
            self._before = data[:at]
            self._after = data[behind : end + 4]
            self._size = 0
            self._head = b""
            self.value = value
