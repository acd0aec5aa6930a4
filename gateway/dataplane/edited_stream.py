"""A streamed answer on its way through an editor: what its checks let through is sent, as soon as that is known. And
the end of a stream that breaks off, edited or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.backends.waiter import Waiter
from gateway.dataplane.attempt import Upstream
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.recording import Recording
from gateway.dataplane.screening import Screening
from gateway.errors import UpstreamError
from gateway.wire.call import Call, Codec
from gateway.wire.edits import Editor


class EditedStream:
    """Of one answer, in the caller's format."""

    __slots__ = ("_editor", "_ex", "_reading", "_screening", "_waiter", "on_block")

    def __init__(self, ex: Exchange, screening: Screening, call: Call) -> None:
        self._ex: Final = ex
        self._screening: Final = screening
        self._editor: Final[Editor] = screening.editor(call)
        self._reading: Final = screening.reading()
        self._waiter: Waiter[None] | None = None
        self.on_block: Callable[[], None] | None = None
        """Called once, when nothing that the backend may still say can reach the caller."""
        screening.changed = self._changed

    @property
    def failed(self) -> bool:
        """The answer could not be read, and its caller was told so in band."""
        return self._editor.failed is not None

    @property
    def heard_bytes(self) -> int:
        """Of texts that were read of it."""
        return self._screening.heard_bytes

    def send(self, data: bytes) -> None:
        """Sends what may be sent by now."""
        with self._reading:
            free = self._editor.feed(data)
        self._pass(free)
        self._look()

    async def last(self, data: bytes) -> bytes:
        """The stream ends with this: waits until all of it is judged; returns what is left to send."""
        self.on_block = None
        with self._reading:
            rest = self._editor.feed(data) + self._editor.finish()
            while self._editor.waits:
                waiter = self._waiter = Waiter()
                await waiter
                self._pass(rest)
                rest = self._editor.more()
        return rest

    def _pass(self, data: bytes) -> None:
        if data and not self._ex.finished:
            self._ex.send(data)

    def _changed(self) -> None:
        """Answers came that a check needed."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.set(None)
        elif not self._ex.finished and not self._ex.gone:
            self._pass(self._editor.more())
            self._look()

    def _look(self) -> None:
        if self.on_block is not None and self._editor.blocked:
            told, self.on_block = self.on_block, None
            told()


async def break_off(
    ex: Exchange,
    record: Recording,
    codec: Codec,
    upstream: Upstream,
    edits: EditedStream | None,
    broken: UpstreamError,
    *,
    mid_frame: bool,
) -> None:
    """Ends a stream whose upstream broke off: with an error frame, which official SDKs raise on. `mid_frame`: the
    caller has seen a part of a frame."""
    upstream.broke(broken)
    frame = codec.errors.frame(broken, record.id)
    if mid_frame:
        frame = b"\n\n" + frame
    if edits is not None:
        frame = await edits.last(frame)
    record.close(200, broken.code, "failed", ex.answer_bytes + len(frame))
    ex.end(frame)
