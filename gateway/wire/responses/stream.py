"""A chat answer as a Response: a stream as its events, a whole one as the object the last event of a stream holds.

Both go the same way, so that a stream says what the whole answer says. An answer that broke off never ends as if it
were whole: its last event is an error.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.errors import StreamBroken
from gateway.wire import chat_chunks
from gateway.wire.call import Call
from gateway.wire.chat_chunks import CallPart, ChunkReader, Head, Said
from gateway.wire.responses import answer as shapes
from gateway.wire.responses import errors as responses_errors
from gateway.wire.responses.answer import Ids, Json
from gateway.wire.usage import Usage

CUT_SHORT: Final = "the backend's answer ended before its end"

_encode: Final = msgspec.json.Encoder().encode


class _Text:
    """An item of the output whose texts come in parts: a message, or reasoning. `index` is its place in the output."""

    __slots__ = ("before", "between", "done", "id", "index", "kind", "logprobs", "part", "pieces")

    def __init__(self, kind: str, item_id: str, index: int) -> None:
        self.kind = kind
        self.id = item_id
        self.index = index
        self.done: list[Json] = []  # the parts that are whole
        self.part = ""  # the type of the one that grows
        self.pieces: list[str] = []
        self.logprobs: list[msgspec.Raw] = []
        self.before = b""  # what a delta of this part says ahead of its number, and between that and the text
        self.between = b""

    def open(self, part: str) -> None:
        """A new part begins to grow."""
        self.part = part
        kind = f"{_EVENTS[part][0]}.delta"
        at = _encode({"item_id": self.id, "output_index": self.index, "content_index": len(self.done)})
        self.before = f'event: {kind}\ndata: {{"type":"{kind}","sequence_number":'.encode()
        self.between = b"," + at[1:-1] + b',"delta":'

    def grown(self, text: str) -> Json:
        """The growing part with this text."""
        if self.part == "output_text":
            return shapes.output_text(text, self.logprobs)
        return {"type": self.part, "refusal" if self.part == "refusal" else "text": text}

    def json(self, status: str) -> Json:
        """The item."""
        if self.kind == "reasoning":
            return shapes.reasoning(self.id, self.done[0]["text"] if self.done else None, status)
        return shapes.message(self.id, self.done, status)


class _Function:
    """A function call of the output."""

    __slots__ = ("call_id", "id", "index", "name", "pieces")

    def __init__(self, item_id: str, index: int, call_id: str, name: str) -> None:
        self.id = item_id
        self.index = index
        self.call_id = call_id
        self.name = name
        self.pieces: list[str] = []

    def json(self, status: str) -> Json:
        """The item, without arguments while it is in progress."""
        arguments = "" if status == "in_progress" else "".join(self.pieces)
        return shapes.function_call(self.id, self.call_id, self.name, arguments, status)


_EVENTS: Final = {
    "output_text": ("response.output_text", "text"),
    "refusal": ("response.refusal", "refusal"),
    "reasoning_text": ("response.reasoning_text", "text"),
}
"""The type of a part → its events, and what their last one calls the text."""


class Translation:
    """One answer of a chat backend; see `call.Passing`. A text is closed when something else begins, calls only at the
    end, since chat may go on with any of them.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._echo = shapes.echo(call.fields)
        self._reader = ChunkReader()
        self._head = Head("", 0)
        self._ids = Ids(self._head)
        self._begun = False
        self._finish_reason: str | None = None
        self._items: list[_Text | _Function] = []
        self._text: _Text | None = None
        self._calls: dict[int, _Function] = {}
        self._out: list[bytes] = []
        self._sequence = 0
        self.usage: Usage | None = None
        self.failed = False
        self.mid_frame = False

    @property
    def complete(self) -> bool:
        """`[DONE]` came after a reason to finish; or an error was told, after which nothing counts."""
        return self.failed or (self._reader.done and self._finish_reason is not None)

    def feed(self, data: bytes) -> bytes:
        """The events that `data` makes complete, but for the last one."""
        return self._taken(self._reader.feed(data))

    def finish(self) -> bytes:
        """The backend ended: the last events."""
        rest = self._taken(self._reader.finish())
        if self.failed:
            return rest
        if self._finish_reason is None:
            self._fail(CUT_SHORT)
        else:
            whole = self.end()
            self._event(f"response.{whole['status']}", response=whole)
        return rest + self._drain()

    def begin(self, head: Head) -> None:
        """The first chunk came: which answer it is."""
        self._begun = True
        self._head, self._ids = head, Ids(head)
        started = shapes.response(self._call, self._echo, head)
        self._event("response.created", response=started)
        self._event("response.in_progress", response=started)

    def say(self, said: Said) -> None:
        """What a message says, or the next part of one."""
        if said.thinking:
            self._grow("reasoning", "reasoning_text", said.thinking, [])
        if said.content:
            self._grow("message", "output_text", said.content, said.logprobs)
        if said.refusal:
            self._grow("message", "refusal", said.refusal, [])
        for part in said.calls:
            self._call_part(part)
        self._finish_reason = said.finish_reason or self._finish_reason

    def end(self) -> Json:
        """The answer is whole: closes what is open and gives the object."""
        ended = self._finish_reason or "stop"
        cut = shapes.incomplete(ended) is not None
        last = self._items[-1] if self._items else None
        status = {id(last): "incomplete"} if cut else {}
        self._close_text(status.get(id(self._text), "completed"))
        for call in self._calls.values():
            self._close_call(call, status.get(id(call), "completed"))
        output = [item.json(status.get(id(item), "completed")) for item in self._items]
        return shapes.response(self._call, self._echo, self._head, output, ended, self.usage)

    # -- inside

    def _taken(self, said: list[Said]) -> bytes:
        reader = self._reader
        if said and not self._begun:
            self.begin(reader.head or self._head)
        for part in said:
            self.say(part)
        self.usage = reader.usage
        if reader.error is not None and not self.failed:
            self._fail(reader.error)
        return self._drain()

    def _drain(self) -> bytes:
        out, self._out = self._out, []
        return b"".join(out)

    def _event(self, kind: str, **members: Any) -> None:
        data = _encode({"type": kind, "sequence_number": self._sequence, **members})
        self._sequence += 1
        self._out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))

    def _fail(self, words: str) -> None:
        self.failed = True
        self._out.append(responses_errors.event(StreamBroken(words), None, self._sequence))

    def _grow(self, kind: str, part: str, text: str, logprobs: list[msgspec.Raw]) -> None:
        """Adds to the open text, or opens one."""
        item = self._text
        if item is None or item.kind != kind:
            self._close_text("completed")
            index = len(self._items)
            item = self._text = _Text(kind, self._ids.item("msg" if kind == "message" else "rs", index), index)
            self._items.append(item)
            self._event("response.output_item.added", output_index=index, item=item.json("in_progress"))
        if item.part != part:
            self._close_part(item)
            item.open(part)
            self._part_event("response.content_part.added", item, part=item.grown(""))
        item.pieces.append(text)
        more = b""
        if part == "output_text":
            more = b',"logprobs":[]'
            if logprobs:
                item.logprobs += logprobs
                more = b',"logprobs":' + _encode(logprobs)
        # Most of a stream: joined by hand, for a third of what an object of its own costs.
        self._out.append(b"%b%d%b%b%b}\n\n" % (item.before, self._sequence, item.between, _encode(text), more))
        self._sequence += 1

    def _part_event(self, kind: str, item: _Text, **members: Any) -> None:
        at = {"item_id": item.id, "output_index": item.index, "content_index": len(item.done)}
        self._event(kind, **at, **members)

    def _close_part(self, item: _Text) -> None:
        if not item.part:
            return
        text = "".join(item.pieces)
        whole = item.grown(text)
        event, name = _EVENTS[item.part]
        more = {"logprobs": item.logprobs} if item.part == "output_text" else {}
        self._part_event(f"{event}.done", item, **{name: text}, **more)
        self._part_event("response.content_part.done", item, part=whole)
        item.done.append(whole)
        item.part, item.pieces, item.logprobs = "", [], []

    def _close_text(self, status: str) -> None:
        item = self._text
        if item is None:
            return
        self._close_part(item)
        self._text = None
        self._event("response.output_item.done", output_index=item.index, item=item.json(status))

    def _call_part(self, part: CallPart) -> None:
        call = self._calls.get(part.index)
        if call is None:
            self._close_text("completed")
            index = len(self._items)
            call_id = part.id or self._ids.item("call", index)
            call = self._calls[part.index] = _Function(self._ids.item("fc", index), index, call_id, part.name or "")
            self._items.append(call)
            self._event("response.output_item.added", output_index=index, item=call.json("in_progress"))
        if part.arguments:
            call.pieces.append(part.arguments)
            at = {"item_id": call.id, "output_index": call.index}
            self._event("response.function_call_arguments.delta", **at, delta=part.arguments)

    def _close_call(self, call: _Function, status: str) -> None:
        at = {"item_id": call.id, "output_index": call.index}
        whole = call.json(status)
        self._event("response.function_call_arguments.done", **at, arguments=whole["arguments"])
        self._event("response.output_item.done", output_index=call.index, item=whole)


def answer(body: bytes, call: Call) -> bytes:
    """A whole chat answer as a Response. Raises UpstreamProtocol for what is no chat answer."""
    read = chat_chunks.read_answer(body)
    translation = Translation(call)
    translation.usage = read.usage
    translation.begin(read.head)
    translation.say(read.said)
    return _encode(translation.end())
