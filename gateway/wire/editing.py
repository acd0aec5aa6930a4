"""What the editors of all formats do alike (`edits.Editor`): bytes are cut into frames, each is edited in its turn, and
those behind an end that waits wait too.

Frames wait as they came: nothing of them is read, or given to an outlet, before what stands in front of them is judged.
So what is delivered does not depend on when answers come.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

from gateway.errors import StreamBroken, UpstreamError, UpstreamProtocol
from gateway.wire import json_values, sse
from gateway.wire.edits import Channel, Outlet
from gateway.wire.errors import Shape

MAX_HELD_BYTES: Final = 16 * 1024 * 1024
TOO_LONG: Final = f"the backend sent a stream frame of more than {MAX_HELD_BYTES} bytes"
TOO_MUCH: Final = f"more than {MAX_HELD_BYTES} bytes of the answer wait for the answers of checks"
NO_FRAME: Final = "the backend sent a frame that this format does not have"

Frames = Iterator[bytes | None]
"""Frames to send, in order; None where an outlet's answers are waited for: asked again, it goes on from there."""


class Speaking:
    """A channel that is open, and its outlet. A character that comes in two halves is fed as one."""

    __slots__ = ("_half", "channel", "outlet")

    def __init__(self, channel: Channel, outlet: Outlet) -> None:
        self.channel: Final = channel
        self.outlet: Final = outlet
        self._half = ""

    @property
    def blocked(self) -> bool:
        return self.outlet.blocked

    def feed(self, text: str) -> str:
        """What may be delivered after these characters."""
        if self._half:
            text = _joined(self._half + text)
            self._half = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._half = text[-1]
            text = text[:-1]
        return self.outlet.more() + self.outlet.feed(text) if text else ""

    def end(self) -> Iterator[str | None]:
        """The text has ended: what may be delivered of the rest, in pieces; None while answers are waited for. Call it
        once."""
        half, self._half = self._half, ""
        yield self.outlet.more() + (self.outlet.feed(half) if half else "") + self.outlet.finish()
        while self.outlet.waits and not self.outlet.blocked:
            yield None
            yield self.outlet.more()


class Editing(ABC):
    """One stream of one format. What a format adds: `edit`, `freed`, `close`; each may raise UpstreamError, which the
    caller is told in band and after which nothing passes."""

    __slots__ = ("_ended", "_errors", "_frames", "_held_bytes", "_running", "_splitter", "failed")

    def __init__(self, errors: Shape) -> None:
        self._errors: Final = errors
        self._splitter: Final = sse.Splitter(MAX_HELD_BYTES)
        self._frames: deque[bytes] = deque()
        self._held_bytes = 0
        self._running: Frames | None = None
        self._ended = False
        self.failed: UpstreamError | None = None
        """What the caller was told in band, by the editor itself."""

    def at_once(self, frame: bytes) -> bytes | None:
        """What is sent for a frame of the sort that a format has most of, if nothing of it has to wait; None for any
        other, which is then edited: the same, cheaper."""
        return None

    @abstractmethod
    def edit(self, frame: bytes) -> Frames:
        """What is sent for a frame, which ends with its blank line."""

    @abstractmethod
    def freed(self) -> Iterator[bytes]:
        """Frames with what answers set free of the channels that are open: all whose text has not ended."""

    @abstractmethod
    def close(self) -> Frames:
        """The stream has ended: what is left of the channels that are still open."""

    @property
    def waits(self) -> bool:
        return self._running is not None

    def feed(self, data: bytes) -> bytes:
        if self.failed:
            return b""
        try:
            frames = self._splitter.feed(data)
        except UpstreamProtocol:
            return self._fail(StreamBroken(TOO_LONG))
        self._frames.extend(frames)
        self._held_bytes += sum(map(len, frames))
        return self._run()

    def more(self) -> bytes:
        return b"" if self.failed else self._run(self.freed())

    def finish(self) -> bytes:
        if self.failed:
            return b""
        self._ended = True
        rest = self._splitter.rest()
        if _is_whole(rest):  # only its blank line never came
            self._frames.append(rest.rstrip(b"\r\n") + b"\n\n")
            self._held_bytes += len(self._frames[-1])
        return self._run()

    def _run(self, freed: Iterable[bytes] = ()) -> bytes:
        """What was set free, and what comes of the frames up to one that waits."""
        sent: list[bytes] = []
        try:
            sent.extend(freed)
            while self._running is not None or self._next(sent):
                assert self._running is not None
                for frame in self._running:
                    if frame is None:
                        if self._held_bytes > MAX_HELD_BYTES:
                            raise StreamBroken(TOO_MUCH)
                        return b"".join(sent)
                    sent.append(frame)
                self._running = None
        except UpstreamError as error:
            sent.append(self._fail(error))
        return b"".join(sent)

    def _next(self, sent: list[bytes]) -> bool:
        """Begins with the next frame that is not sent at once, or with the end."""
        while self._frames:
            frame = self._frames.popleft()
            self._held_bytes -= len(frame)
            said = self.at_once(frame)
            if said is None:
                self._running = self.edit(frame)
                return True
            sent.append(said)
        if self._ended:
            self._ended = False
            self._running = self.close()
        return self._running is not None

    def _fail(self, error: UpstreamError) -> bytes:
        self.failed = error
        self._running = None
        self._frames.clear()
        return self._errors.frame(error, None)


def read_object(payload: bytes) -> dict[str, Any]:
    """The object that a frame's data is. Raises UpstreamProtocol."""
    try:
        read = json_values.read(payload)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise UpstreamProtocol(NO_FRAME)
    return read


def written_frame(data: object, event: str = "") -> bytes:
    """A frame with this data. Raises UpstreamProtocol for what JSON cannot say."""
    try:
        said = b"data: %b\n\n" % json_values.written(data)
    except ValueError:
        raise UpstreamProtocol(NO_FRAME) from None
    return b"event: %b\n%b" % (event.encode(), said) if event else said


def _joined(text: str) -> str:
    """Halves that stand side by side as the characters they are."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _is_whole(frame: bytes) -> bool:
    """Whether a frame whose blank line never came is whole, and not cut off."""
    payload = sse.data(frame)
    if payload is None or payload == sse.DONE:
        return payload is not None
    try:
        json_values.read(payload)
    except ValueError:
        return False
    return True
