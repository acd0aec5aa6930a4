"""An upstream's answer as it is read: its head, and its body where that does not stream; and how long and how large it
may be.
"""

from __future__ import annotations

from typing import Final, Protocol

KEPT: Final = {
    b"content-type": "content_type",
    b"content-length": "framing",
    b"transfer-encoding": "framing",
    b"retry-after": "retry_after",
    b"inference-header-content-length": "json_length",
}
"""The headers that are read of an answer, and where a `Reply` has them."""


class Reply:
    """The head of an answer and, when it was not streamed, its whole body."""

    __slots__ = ("body", "content_type", "framing", "json_length", "retry_after", "status", "streaming")

    def __init__(self) -> None:
        self.status = 0
        self.content_type = b""
        self.framing: bytes | None = None
        """What says where the body ends; None: the end of the connection does."""
        self.retry_after: bytes | None = None
        self.json_length: bytes | None = None
        """`Inference-Header-Content-Length`."""
        self.body = b""
        self.streaming = False
        """The body is still to come through `Connection.pump`."""


Head = tuple[bytes, bytes | None, bytes | None]
"""What is kept of the head of a 200 for the next one with the same: a `Reply`'s content type, retry-after and JSON
length.
"""


class Limits(Protocol):
    """How long and how large an answer may be; see the configuration's limits of these names."""

    @property
    def answer(self) -> int: ...

    @property
    def first_byte_s(self) -> float: ...

    @property
    def idle_s(self) -> float: ...
