"""A streamed Anthropic message whose texts go through outlets: events in, events out, each made anew.

Blocks come one after another, and those that are told are counted anew, since clients find a block by its number. When
a text was blocked its block ends there, everything else of the message is dropped, and its `message_delta` says that it
was refused: with the backend's own counts, once it told them, or else with those the message began with.

- Thinking that was changed loses its signature, which would not fit.
- Citations are left out: no check reads what they quote.
- A block that comes whole (what a tool said that the backend ran) is told when it is judged.
- Events and deltas of other types are left out. What cannot be read is an error in band, behind which nothing passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from gateway.errors import UpstreamProtocol
from gateway.wire import sse
from gateway.wire.call import Call
from gateway.wire.editing import NO_FRAME, Editing, Frames, Speaking, read_object, written_frame
from gateway.wire.edits import Channel, Opening
from gateway.wire.messages import texts
from gateway.wire.messages.errors import ANTHROPIC
from gateway.wire.messages.texts import CALL, OTHER, REFUSAL, THINKING, Json, Read

_COMMENT: Final = b":\n\n"


class _Block:
    """The block that is open. `index` is its number for the caller, once it is told."""

    __slots__ = ("fed", "given", "index", "read", "sent_index", "signature", "speaking", "start")

    def __init__(self, start: Json, read: Read | None, sent_index: object, speaking: Speaking | None) -> None:
        self.start: Final = start
        self.read: Final = read
        self.sent_index: Final = sent_index
        self.speaking: Final = speaking
        self.index = -1
        self.signature = ""
        self.fed: list[str] = []
        self.given: list[str] = []


class MessagesEditor(Editing):
    """One message; see `edits.Editor`."""

    __slots__ = ("_block", "_delta_told", "_numbers", "_opening", "_over", "_told", "_usage", "blocked")

    def __init__(self, opening: Opening) -> None:
        super().__init__(ANTHROPIC)
        self._opening: Final = opening
        self._block: _Block | None = None
        self._numbers: Final[Counter[str]] = Counter()
        self._told = 0
        self._usage: Json = {}
        self._delta_told = False
        self._over = False  # the last event was told, or an error
        self.blocked = False

    def edit(self, frame: bytes) -> Frames:
        payload = sse.data(frame)
        if payload is None:
            yield _COMMENT  # what it says is for nobody, that it came keeps the connection
            return
        event = read_object(payload)
        kind = event.get("type")
        if self._over or payload == sse.DONE:
            return
        if kind == "error" or (kind is None and "error" in event):
            yield from self._drain()
            self._over = True
            yield written_frame(event, "error")
        elif kind == "message_start":
            message = _object(event, "message")
            usage = message.get("usage")
            self._usage = usage if isinstance(usage, dict) else {}
            yield _event({**event, "message": {**message, "content": []}})
        elif kind == "message_delta":
            yield from self._end_block()
            yield self._delta(event)
        elif kind == "message_stop":
            yield from self._end_block()
            yield from self._stop()
        elif kind == "ping":
            yield _event({"type": "ping"})
        elif not self.blocked:
            yield from self._of_block(kind, event)

    def freed(self) -> Iterator[bytes]:
        block = self._block
        if block is not None and block.speaking is not None:
            yield from self._deliver(block, block.speaking.outlet.more())

    def close(self) -> Frames:
        yield from self._drain()
        if self.blocked and not self._over:
            yield from self._stop()

    # -- the message

    def _delta(self, event: Json) -> bytes:
        self._delta_told = True
        if self.blocked:
            delta = {**_object(event, "delta"), "stop_reason": REFUSAL, "stop_sequence": None}
            event = {**event, "delta": delta | ({"stop_details": None} if "stop_details" in delta else {})}
        return _event(event)

    def _stop(self) -> Iterator[bytes]:
        if self.blocked and not self._delta_told:
            usage = {"output_tokens": 0, **self._usage}
            yield self._delta({"type": "message_delta", "delta": {}, "usage": usage})
        self._over = True
        yield _event({"type": "message_stop"})

    # -- its blocks

    def _of_block(self, kind: object, event: Json) -> Frames:
        block = self._block
        if kind == "content_block_start":
            yield from self._end_block()
            if not self.blocked:
                yield from self._begin(event)
        elif block is None or event.get("index") != block.sent_index:
            if kind == "content_block_delta":
                raise UpstreamProtocol(NO_FRAME)
        elif kind == "content_block_delta":
            yield from self._grow(block, _object(event, "delta"))
        elif kind == "content_block_stop":
            yield from self._end_block()

    def _begin(self, event: Json) -> Iterator[bytes]:
        start = _object(event, "content_block")
        read = texts.read_as(start)
        speaking = None
        if read is not None:
            number = self._numbers[read.kind]
            self._numbers[read.kind] += 1
            tool = texts.tool_of(start) if read is CALL else ""
            channel = Channel(0, read.kind, read.phase, number=number, is_json=read.is_json, tool=tool)
            speaking = Speaking(channel, self._opening(channel))
        block = self._block = _Block(start, read, event.get("index"), speaking)
        if read is THINKING:
            block.signature = _string(start, "signature")
        try:
            text = texts.text_of(start, read) if read is not None else ""
        except ValueError:
            raise UpstreamProtocol(NO_FRAME) from None
        yield from self._feed(block, "" if read is CALL and text == "{}" else text)

    def _grow(self, block: _Block, delta: Json) -> Iterator[bytes]:
        kind = delta.get("type")
        if block.read is None:
            return
        if kind == block.read.delta:
            yield from self._feed(block, _string(delta, block.read.delta_member))
        elif kind == "signature_delta":
            block.signature = _string(delta, "signature")

    def _feed(self, block: _Block, text: str) -> Iterator[bytes]:
        if block.speaking is not None:
            block.fed.append(text)
            yield from self._deliver(block, block.speaking.feed(text))

    def _deliver(self, block: _Block, text: str) -> Iterator[bytes]:
        """Tells what an outlet gave; the block and the message end here when it blocks."""
        assert block.speaking is not None
        assert block.read is not None
        if text:
            block.given.append(text)
            if block.read is not OTHER:
                yield from self._tell(block)
                yield _block_delta(block, {"type": block.read.delta, block.read.delta_member: text})
        if block.speaking.blocked:
            self.blocked = True
            self._block = None
            if block.index >= 0:
                yield _event({"type": "content_block_stop", "index": block.index})

    def _tell(self, block: _Block, start: Json | None = None) -> Iterator[bytes]:
        if block.index < 0:
            block.index = self._told
            self._told += 1
            begun = start or texts.empty(block.start, block.read)
            yield _event({"type": "content_block_start", "index": block.index, "content_block": begun})

    def _drain(self) -> Frames:
        """The stream ended within a block, or before one: what is judged of it."""
        block, self._block = self._block, None
        if block is None or block.speaking is None:
            return
        for text in block.speaking.end():
            if text is None:
                yield None
            else:
                yield from self._deliver(block, text)

    def _end_block(self) -> Frames:
        """Ends the open block, when its outlet is done."""
        block = self._block
        yield from self._drain()
        if block is None or self.blocked:
            return
        if block.read is OTHER:
            start = texts.filled(block.start, OTHER, "".join(block.given))
            if start is None:
                raise UpstreamProtocol(NO_FRAME)
            yield from self._tell(block, start)
        else:
            yield from self._tell(block)
        if block.signature and "".join(block.fed) == "".join(block.given):
            yield _block_delta(block, {"type": "signature_delta", "signature": block.signature})
        yield _event({"type": "content_block_stop", "index": block.index})


def _event(event: Json) -> bytes:
    return written_frame(event, str(event["type"]))


def _block_delta(block: _Block, delta: Json) -> bytes:
    return _event({"type": "content_block_delta", "index": block.index, "delta": delta})


def _object(event: Json, name: str) -> Json:
    found = event.get(name)
    if not isinstance(found, dict):
        raise UpstreamProtocol(NO_FRAME)
    return found


def _string(event: Json, name: str) -> str:
    found = event.get(name, "")
    if not isinstance(found, str):
        raise UpstreamProtocol(NO_FRAME)
    return found


def of(call: Call, opening: Opening) -> MessagesEditor:
    """The editor of this call's answer."""
    return MessagesEditor(opening)
