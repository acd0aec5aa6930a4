"""What a chat backend answers, read into values: for those endpoints that are translated to chat and back.

Whole answers and streams say the same things, so both are read into `Said`. Only the first choice is read: the formats
that are translated have no others.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.errors import UpstreamProtocol
from gateway.wire import sse, usage
from gateway.wire.usage import Usage

MAX_FRAME_BYTES: Final = 1024 * 1024
NO_CHUNK: Final = "the backend sent a frame that is no chunk of a chat"
TOO_LONG: Final = f"the backend sent a frame of more than {MAX_FRAME_BYTES} bytes"


class CallPart(msgspec.Struct, frozen=True, gc=False):
    """A tool call, or a part of one. `index` counts the calls of an answer; `arguments` is JSON as text."""

    index: int
    id: str | None
    name: str | None
    arguments: str


class Said(msgspec.Struct, frozen=True, gc=False):
    """What a message, or a part of one, says; "" and [] for what it does not. `logprobs` is one piece of JSON for each
    token of the content.
    """

    content: str = ""
    refusal: str = ""
    thinking: str = ""
    """What backends call `reasoning_content` or `reasoning`."""
    calls: list[CallPart] = []
    logprobs: list[msgspec.Raw] = []
    finish_reason: str | None = None
    stop: str | None = None
    """The string that ended the answer, from backends that say which."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """Which answer this is: the backend's id of it, the time (Unix, seconds) it was made, and the backend's name of the
    model; "" and 0 when not said.
    """

    id: str
    created: int
    model: str = ""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A whole answer."""

    head: Head
    said: Said
    usage: Usage | None


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Logprobs(msgspec.Struct, gc=False):
    content: list[msgspec.Raw] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    logprobs: _Logprobs | None = None


class _Body(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    created: float | None = None
    choices: list[_Choice] | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


class _Told(msgspec.Struct, gc=False):
    message: str


_decode: Final = msgspec.json.Decoder(_Body).decode
_decode_told: Final = msgspec.json.Decoder(_Told | str | None).decode


def read_answer(body: bytes) -> Answer:
    """A whole chat answer. Raises UpstreamProtocol for what is none."""
    try:
        read = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamProtocol("the backend's answer is no chat completion") from None
    choice = _first(read)
    if choice is None or choice.message is None:
        raise UpstreamProtocol("the backend's answer has no choice with a message")
    said = _said(choice, choice.message, Numbering())
    return Answer(_head(read), said, usage.from_answer(body))


class ChunkReader:
    """A chat stream, read as it arrives; what it says does not depend on how it was cut. Never raises.

    - `head`: of the first chunk, None before it.
    - `usage`: the last usage stated, or None.
    - `done`: `[DONE]` came.
    - `error`: what the backend told in band, or that it sent what is no chunk; nothing is read after it.
    """

    __slots__ = ("_held", "_numbering", "done", "error", "head", "usage")

    def __init__(self) -> None:
        self._held = b""
        self._numbering = Numbering()
        self.head: Head | None = None
        self.usage: Usage | None = None
        self.done = False
        self.error: str | None = None

    @property
    def over(self) -> bool:
        """Nothing is read any more."""
        return self.done or self.error is not None

    def feed(self, data: bytes) -> list[Said]:
        """What the chunks say that `data` completes, in order."""
        found: list[Said] = []
        if self.over:
            return found
        if self._held:
            data = self._held + data
        end = len(data) if data.endswith(b"\n\n") else sse.end_of_frames(data)
        self._held = data[end:]
        for frame in sse.frames(data[:end]):
            if not self._read(frame, found):
                return found
        if len(self._held) > MAX_FRAME_BYTES:
            self.error = TOO_LONG
        return found

    def finish(self) -> list[Said]:
        """The stream has ended: what a last frame says whose blank line never came; one that was cut short says
        nothing.
        """
        if self.over or not self._held:
            return []
        found: list[Said] = []
        if not self._read(self._held, found) and self.error == NO_CHUNK:
            self.error = None
        return found

    def _read(self, frame: bytes, found: list[Said]) -> bool:
        """Adds what a frame says to `found`; False when nothing is to be read after it."""
        if len(frame) > MAX_FRAME_BYTES:
            self.error = TOO_LONG
            return False
        payload = sse.data(frame)
        if payload is None:
            return True
        if payload == sse.DONE:
            self.done = True
            return False
        try:
            read = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.error = NO_CHUNK
            return False
        if read.error != _NULL:
            self.error = _told(read.error)
            return False
        if self.head is None:
            self.head = _head(read)
        if b'"usage"' in payload:
            self.usage = usage.from_frame(payload) or self.usage
        choice = _first(read)
        if choice is not None:
            found.append(_said(choice, choice.delta or _NOTHING, self._numbering))
        return True


class Numbering:
    """Gives a call its index where the backend sends none: one with an id of its own is the next call."""

    __slots__ = ("last", "last_id")

    def __init__(self) -> None:
        self.last = -1
        self.last_id: str | None = None

    def of(self, index: int | None, call_id: str | None) -> int:
        """The index of a piece of a call that says these of itself."""
        if index is not None:
            self.last = max(0, index)
        elif self.last < 0 or (call_id and call_id != self.last_id):
            self.last += 1
        self.last_id = call_id or self.last_id
        return self.last


_NULL: Final = msgspec.Raw(b"null")
_NOTHING: Final = _Message()


def _head(read: _Body) -> Head:
    created = read.created or 0
    return Head(read.id or "", int(created) if 0 <= created < 2**53 else 0, read.model or "")


def _first(read: _Body) -> _Choice | None:
    for choice in read.choices or ():
        if choice.index == 0:
            return choice
    return None


def _said(choice: _Choice, message: _Message, numbering: Numbering) -> Said:
    calls: list[CallPart] = []
    for call in message.tool_calls or ():
        function = call.function or _Function()
        calls.append(CallPart(numbering.of(call.index, call.id), call.id, function.name, function.arguments or ""))
    return Said(
        message.content or "",
        message.refusal or "",
        message.reasoning_content or message.reasoning or "",
        calls,
        (choice.logprobs.content if choice.logprobs else None) or [],
        choice.finish_reason,
        choice.stop_reason if isinstance(choice.stop_reason, str) else None,
    )


def _told(error: msgspec.Raw) -> str:
    """The words of an error told in band."""
    try:
        told = _decode_told(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        told = None
    return (told.message if isinstance(told, _Told) else told) or "the backend failed in the middle of its answer"
