"""A streamed answer on its way through an editor: what its checks let through is sent, as soon as that is known."""

from __future__ import annotations

from typing import Final

from gateway.backends.waiter import Waiter
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.screening import Screening
from gateway.wire.call import Call
from gateway.wire.edits import Editor


class EditedStream:
    """Of one answer, in the caller's format."""

    __slots__ = ("_editor", "_ex", "_waiter")

    def __init__(self, ex: Exchange, screening: Screening, call: Call) -> None:
        self._ex: Final = ex
        self._editor: Final[Editor] = screening.editor(call)
        self._waiter: Waiter[None] | None = None
        screening.changed = self._changed

    @property
    def failed(self) -> bool:
        """The answer could not be read, and its caller was told so in band."""
        return self._editor.failed is not None

    def send(self, data: bytes) -> None:
        """Sends what may be sent by now."""
        self._pass(self._editor.feed(data))

    async def last(self, data: bytes) -> bytes:
        """The stream ends with this: waits until all of it is judged; returns what is left to send."""
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
