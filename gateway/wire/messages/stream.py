"""A streamed answer of chat completions as the events of an Anthropic message: chunks in, events out.

The last events wait for `finish`, since callers hang up on `message_stop` and the record must be closed by then. A
stream that ends too early, or says something that cannot be told in this format, ends with an `error` event and never
with a `message_stop`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.errors import StreamBroken
from gateway.wire.call import Call
from gateway.wire.chat_chunks import CallPart, ChunkReader, Head, Said
from gateway.wire.event_relay import CUT_SHORT
from gateway.wire.messages import from_chat as chat_to_messages
from gateway.wire.messages import usage as messages_usage
from gateway.wire.messages.errors import ANTHROPIC
from gateway.wire.usage import Usage

_encode: Final = msgspec.json.Encoder().encode

_DELTA: Final = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b":'
_DELTA_END: Final = b"}}\n\n"
_KINDS: Final = {
    "text": b'text_delta","text',
    "thinking": b'thinking_delta","thinking',
    "tool_use": b'input_json_delta","partial_json',
}
_TEXT: Final = b'{"type":"text","text":""}'
_THINKING: Final = b'{"type":"thinking","thinking":"","signature":""}'
_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_MIXED_CALLS: Final = "the backend called a tool without a name, or went back to an earlier call"


class MessagesStream:
    """One stream; see `call.Passing`."""

    __slots__ = (
        "_alias",
        "_called",
        "_finish_reason",
        "_id",
        "_index",
        "_open",
        "_out",
        "_pending",
        "_prefix",
        "_reader",
        "_started",
        "_stop",
        "_tool",
        "failed",
        "mid_frame",
        "usage",
    )

    def __init__(self, call: Call) -> None:
        self.usage: Usage | None = None
        self.failed = self.mid_frame = False
        self._alias = call.alias
        self._reader = ChunkReader()
        self._out: list[bytes] = []
        self._started = False
        self._id = ""
        self._finish_reason: str | None = None
        self._stop: str | None = None
        self._index = -1  # of the last block begun
        self._open: str | None = None  # its type, while it is open
        self._prefix = b""  # of its deltas
        self._tool: tuple[int, str | None] = (0, None)  # index and id of the last call, as the backend has them
        self._called: set[int | str] = set()  # every call by its id, or by its index where it has none
        self._pending: list[str] = []  # text that came within a tool call: told behind it

    @property
    def complete(self) -> bool:
        """`[DONE]` came after a reason to finish; or an error was told, after which nothing counts."""
        return self.failed or (self._reader.done and self._finish_reason is not None)

    def feed(self, data: bytes) -> bytes:
        """The events this cut of the stream completes; b"" when none."""
        self._tell(self._reader.feed(data))
        return self._taken()

    def finish(self) -> bytes:
        """The backend ended: the end of the message, or the error that there is none."""
        self._tell(self._reader.finish())
        if not self.failed:
            if self._finish_reason is None:
                self._fail(CUT_SHORT)
            else:
                self._end()
        return self._taken()

    def _taken(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _tell(self, parts: list[Said]) -> None:
        reader = self._reader
        self.usage = reader.usage
        if not self._started and reader.head is not None:
            self._start(reader.head)
        for said in parts:
            if self.failed:
                return
            self._say(said)
        if reader.error is not None and not self.failed:
            self._fail(reader.error)

    def _say(self, said: Said) -> None:
        if said.thinking:
            if self._open != "thinking":
                self._begin("thinking", _THINKING)
            self._out.append(self._prefix + _encode(said.thinking) + _DELTA_END)
        if text := said.content or said.refusal:
            if self._open == "tool_use":  # its arguments may go on
                self._pending.append(text)
            else:
                if self._open != "text":
                    self._begin("text", _TEXT)
                self._out.append(self._prefix + _encode(text) + _DELTA_END)
        for part in said.calls:
            self._call(part)
        if said.finish_reason is not None:
            self._finish_reason, self._stop = said.finish_reason, said.stop

    def _call(self, part: CallPart) -> None:
        """A piece of a tool call. It is a new one by its index, or by another id under an index known already (some
        servers give all calls the same).
        """
        index, id_ = self._tool
        if self._open != "tool_use" or part.index != index or (part.id and part.id != id_):
            call = part.id or part.index
            if not part.name or call in self._called:
                self._fail(_MIXED_CALLS)
                return
            self._called.add(call)
            self._tool = (part.index, part.id)
            block = {"type": "tool_use", "id": part.id or f"{self._id}_{part.index}", "name": part.name, "input": {}}
            self._begin("tool_use", _encode(block))
        if part.arguments:
            self._out.append(self._prefix + _encode(part.arguments) + _DELTA_END)

    def _start(self, head: Head) -> None:
        self._started = True
        message = chat_to_messages.head(head, self._alias, messages_usage.to_counts(None))
        self._id = message["id"]
        event = b'event: message_start\ndata: {"type":"message_start","message":%b}\n\n'
        self._out.append(event % _encode(message))

    def _begin(self, kind: str, block: bytes) -> None:
        self._close()
        self._index += 1
        self._open = kind
        self._prefix = _DELTA % (self._index, _KINDS[kind])
        event = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
        self._out.append(event % (self._index, block))

    def _close(self) -> None:
        if self._open is None:
            return
        self._open = None
        event = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
        self._out.append(event % self._index)
        if self._pending:
            text = "".join(self._pending)
            self._pending.clear()
            self._begin("text", _TEXT)
            self._out.append(self._prefix + _encode(text) + _DELTA_END)
            self._close()

    def _end(self) -> None:
        self._close()
        ending = chat_to_messages.ending(self._finish_reason, self._stop, self._called)
        event = {"type": "message_delta", "delta": ending, "usage": messages_usage.to_counts(self.usage)}
        self._out += (b"event: message_delta\ndata: ", _encode(event), b"\n\n", _STOP)

    def _fail(self, words: str) -> None:
        self.failed = True
        self._out.append(ANTHROPIC.frame(StreamBroken(words), None))


def of(call: Call) -> MessagesStream:
    """The translator of this call's answer."""
    return MessagesStream(call)
