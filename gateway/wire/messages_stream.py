"""A streamed answer of chat completions as the events of an Anthropic message: chunks in, events out.

Each frame is decoded once, into the few fields that are needed; what comes out does not depend on how the bytes were
cut. The last events wait for `finish`, since callers hang up on `message_stop` and the record must be closed by then.
A stream that ends too early, or says something that cannot be told in this format, ends with an `error` event and never
with a `message_stop`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.errors import StreamBroken
from gateway.wire import chat_to_messages, messages_usage, sse
from gateway.wire import usage as wire_usage
from gateway.wire.call import Call
from gateway.wire.messages_errors import ANTHROPIC
from gateway.wire.relay import MAX_HELD_BYTES
from gateway.wire.usage import Usage


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    index: int = 0


class _Said(msgspec.Struct, gc=False):
    message: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    id: str | None = None
    model: str | None = None
    error: _Said | None = None


_decode: Final = msgspec.json.Decoder(_Chunk).decode
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
_TOO_LONG: Final = f"the backend sent a stream frame of more than {MAX_HELD_BYTES} bytes"
_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class MessagesStream:
    """One stream; see `call.Passing`."""

    __slots__ = (
        "_called",
        "_done",
        "_finish_reason",
        "_held",
        "_id",
        "_index",
        "_model",
        "_open",
        "_out",
        "_pending",
        "_prefix",
        "_started",
        "_stop_reason",
        "_tool",
        "failed",
        "usage",
    )

    mid_frame = False

    def __init__(self, call: Call) -> None:
        self.usage: Usage | None = None
        self.failed = False
        self._held = b""
        self._out: list[bytes] = []
        self._done = False
        self._started = False
        self._id = "msg"
        self._model = call.alias
        self._finish_reason: str | None = None
        self._stop_reason: str | int | None = None
        self._index = -1  # of the last block begun
        self._open: str | None = None  # its type, while it is open
        self._prefix = b""  # of its deltas
        self._tool: tuple[int, str | None] = (0, None)  # index and id of the last call, as the backend has them
        self._called: set[int | str] = set()  # every call by its id, or by its index where it has none
        self._pending: list[str] = []  # text that came within a tool call: told behind it

    @property
    def complete(self) -> bool:
        """`[DONE]` came."""
        return self._done

    def feed(self, data: bytes) -> bytes:
        """The events this cut of the stream completes; b"" when none."""
        if self._done or self.failed:
            return b""
        if self._held:
            data = self._held + data
            self._held = b""
        if not data.endswith(b"\n\n") or b"\r" in data:
            end = sse.end_of_frames(data)
            self._held = data[end:]
            data = data[:end]
        self._read(data)
        if len(self._held) > MAX_HELD_BYTES and not self.failed:
            self._fail(StreamBroken(_TOO_LONG))
        return self._taken()

    def finish(self) -> bytes:
        """The backend ended: the end of the message, or the error that there is none."""
        if not self._done and not self.failed:
            self._read(self._held)  # a last frame without its blank line
        if not self.failed:
            if self._done or self._finish_reason is not None:
                self._end()
            else:
                self._fail(StreamBroken("the backend ended its stream before its answer was complete"))
        return self._taken()

    def _taken(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _read(self, frames: bytes) -> None:
        for payload in _payloads(frames):
            if payload == sse.DONE:
                self._done = True
                return
            try:
                if len(payload) > MAX_HELD_BYTES:
                    raise StreamBroken(_TOO_LONG)
                self._chunk(payload)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._fail(StreamBroken("the backend's stream is not one of chat completions"))
            except StreamBroken as error:
                self._fail(error)
            if self.failed:
                return

    def _chunk(self, payload: bytes) -> None:
        chunk = _decode(payload)
        if chunk.error is not None:
            raise StreamBroken(chunk.error.message or "the backend failed in the middle of its answer")
        if not self._started:
            self._start(chunk)
        if b'"usage"' in payload:
            stated = wire_usage.from_frame(payload)
            if stated is not None:
                self.usage = stated
        for choice in chunk.choices or ():
            if choice.index == 0:
                if choice.delta is not None:
                    self._delta(choice.delta)
                if choice.finish_reason is not None:
                    self._finish_reason = choice.finish_reason
                    self._stop_reason = choice.stop_reason

    def _delta(self, delta: _Delta) -> None:
        thought = delta.reasoning or delta.reasoning_content
        if thought:
            if self._open != "thinking":
                self._begin("thinking", _THINKING)
            self._out.append(self._prefix + _encode(thought) + _DELTA_END)
        text = delta.content or delta.refusal
        if text:
            if self._open == "tool_use":  # its arguments may go on
                self._pending.append(text)
            else:
                if self._open != "text":
                    self._begin("text", _TEXT)
                self._out.append(self._prefix + _encode(text) + _DELTA_END)
        if delta.tool_calls:
            for call in delta.tool_calls:
                self._call(call)

    def _call(self, call: _ToolCall) -> None:
        """A piece of a tool call. It is a new one by its index, or by another id under an index known already (some
        servers count none).
        """
        function = call.function or _Function()
        index, id_ = self._tool
        if self._open != "tool_use" or call.index != index or (call.id and call.id != id_):
            name = call.id or call.index
            if not function.name or name in self._called:
                raise StreamBroken("the backend called a tool without a name, or went back to an earlier call")
            self._called.add(name)
            self._tool = (call.index, call.id)
            block = {"type": "tool_use", "id": call.id or f"{self._id}_{call.index}", "name": function.name}
            self._begin("tool_use", _encode(block | {"input": {}}))
        if function.arguments:
            self._out.append(self._prefix + _encode(function.arguments) + _DELTA_END)

    def _start(self, chunk: _Chunk) -> None:
        self._started = True
        self._id, self._model = chunk.id or self._id, chunk.model or self._model
        message = chat_to_messages.head(self._id, self._model, messages_usage.to_counts(None))
        self._out.append(
            b'event: message_start\ndata: {"type":"message_start","message":' + _encode(message) + b"}\n\n"
        )

    def _begin(self, kind: str, block: bytes) -> None:
        self._close()
        self._index += 1
        self._open = kind
        self._prefix = _DELTA % (self._index, _KINDS[kind])
        self._out.append(
            b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
            % (self._index, block)
        )

    def _close(self) -> None:
        if self._open is None:
            return
        self._open = None
        self._out.append(b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % self._index)
        if self._pending:
            text = "".join(self._pending)
            self._pending.clear()
            self._begin("text", _TEXT)
            self._out.append(self._prefix + _encode(text) + _DELTA_END)
            self._close()

    def _end(self) -> None:
        if not self._started:
            self._start(_Chunk())
        self._close()
        ending = chat_to_messages.ending(self._finish_reason, self._stop_reason, self._called)
        event = {"type": "message_delta", "delta": ending, "usage": messages_usage.to_counts(self.usage)}
        self._out += (b"event: message_delta\ndata: ", _encode(event), b"\n\n", _STOP)

    def _fail(self, error: StreamBroken) -> None:
        self.failed = True
        self._held = b""
        self._out.append(ANTHROPIC.frame(error, None))


def _payloads(frames: bytes) -> Iterator[bytes]:
    """As `sse.payloads`, faster where lines end with LF and each frame is one line of data, as all known servers send
    it.
    """
    if b"\r" in frames:
        yield from sse.payloads(frames)
        return
    for frame in frames.split(b"\n\n"):
        if frame.startswith(b"data: ") and b"\n" not in frame:
            yield frame[6:]
        elif (payload := sse.data(frame)) is not None:
            yield payload


def of(call: Call) -> MessagesStream:
    """The translator of this call's answer."""
    return MessagesStream(call)
