"""Server-sent events as bytes: where frames end, and the data in one.

A frame runs to and includes the blank line that ends it, so frames one after another are the stream, byte for byte.
Lines end with LF, CRLF or CR, in any mixture (WHATWG HTML, "Parsing an event stream").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gateway.errors import UpstreamProtocol

_END: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE: Final = re.compile(rb"\r\n|\n|\r")
_LONGEST_END: Final = 4

DONE: Final = b"[DONE]"
"""The data of the frame that ends an OpenAI stream."""


class Splitter:
    """Cuts a stream into frames as it arrives: the same frames however it was cut up on the way, holding at most
    `limit_bytes` plus one chunk.

    A CR that ends a chunk is not yet known to end its line alone, so a frame that ends there is given with the next
    chunk, or by `rest`.
    """

    __slots__ = ("_held", "_limit_bytes", "_searched")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held = bytearray()
        self._searched = (
            0  # no frame ends before here: a frame that arrives in crumbs is not searched again from its start
        )

    def feed(self, chunk: bytes) -> list[bytes]:
        """The frames this chunk completes. Raises UpstreamProtocol when one grows beyond the limit."""
        held: bytes | bytearray = chunk
        if self._held:
            self._held += chunk
            held = self._held
        frames: list[bytes] = []
        start = 0
        for end in _ends(held, self._searched):
            frames.append(bytes(held[start:end]))
            start = end
        if held is chunk:
            self._held += memoryview(chunk)[start:]
        elif start:
            del self._held[:start]
        self._searched = max(0, len(self._held) - _LONGEST_END)
        longest = max(len(self._held), max(map(len, frames), default=0))
        if longest > self._limit_bytes:
            raise UpstreamProtocol(f"the backend sent a stream frame of more than {self._limit_bytes} bytes")
        return frames

    def rest(self) -> bytes:
        """What came after the last complete frame."""
        return bytes(self._held)


def holds(data: bytes, word: bytes) -> bool:
    """`word in data`, for what every chunk is asked: Python's `in` first takes the word for a number, and makes and
    drops an exception with its message, which costs more than looking through the chunk.
    """
    return data.find(word) >= 0


def frames(stream: bytes) -> Iterator[bytes]:
    """The frames of a whole stream; the last one may lack its end."""
    start = 0
    if holds(stream, b"\r"):
        for end in _END.finditer(stream):
            yield stream[start : end.end()]
            start = end.end()
    else:  # what every backend we know sends
        while (at := stream.find(b"\n\n", start)) >= 0:
            yield stream[start : at + 2]
            start = at + 2
    if start < len(stream):
        yield stream[start:]


def end_of_frames(stream: bytes) -> int:
    """How many bytes of `stream` are whole frames: up to its last blank line; 0 when there is none.

    As in `Splitter`, a CR at the very end does not end anything yet.
    """
    if not holds(stream, b"\r"):
        at = stream.rfind(b"\n\n")
        return 0 if at < 0 else at + 2
    return max(_ends(stream, 0), default=0)


def data(frame: bytes) -> bytes | None:
    """The data of a frame, its lines joined by LF; None when it has none (a comment, a blank line)."""
    if (
        frame.startswith(b"data: ")
        and frame.endswith(b"\n\n")
        and frame.find(b"\n") == len(frame) - 2
        and not holds(frame, b"\r")
    ):
        return frame[6:-2]
    found: list[bytes] = []
    for line in _LINE.split(frame):
        name, _, value = line.partition(b":")
        if name == b"data":
            found.append(value.removeprefix(b" "))
    return b"\n".join(found) if found else None


def payloads(stream: bytes) -> Iterator[bytes]:
    """The data of every frame of a whole stream that has some."""
    for frame in frames(stream):
        if (found := data(frame)) is not None:
            yield found


def _ends(held: bytes | bytearray, search: int) -> Iterator[int]:
    """Where the frames that surely end do so, searching from `search`."""
    if held.find(b"\r", search) < 0:  # what every backend we know sends
        while (at := held.find(b"\n\n", search)) >= 0:
            search = at + 2
            yield search
        return
    for end in _END.finditer(held, search):
        if end.end() < len(held) or not held.endswith(b"\r"):
            yield end.end()
