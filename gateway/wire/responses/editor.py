"""A streamed Response whose texts go through outlets: events in, events out, each made and counted anew.

Items are told one after another: events of a later one wait until the one before has ended, as a whole answer has them.
When a text was blocked it and its item end there, everything else is dropped, and the last event says that the Response
is incomplete by a content filter: with the backend's own usage, if its last event came.

- What the last events of texts, parts, items and the Response repeat is what was delivered. Text that only the last
  event of a text or an item says goes through the outlet too.
- An item of another type is told when its last event came and it is judged, as a document.
- Annotations, logprobs, parts of a message of another type and other events are left out. What cannot be read is an
  error in band, behind which nothing passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from gateway.errors import StreamBroken, UpstreamProtocol
from gateway.wire import sse
from gateway.wire.call import Call
from gateway.wire.editing import (
    MAX_HELD_BYTES,
    NO_FRAME,
    TOO_MUCH,
    Editing,
    Frames,
    Speaking,
    read_object,
    written_frame,
)
from gateway.wire.edits import Channel, Opening
from gateway.wire.responses import texts
from gateway.wire.responses.errors import RESPONSES
from gateway.wire.responses.telling import Item, Telling, Text
from gateway.wire.responses.texts import BY_DELTA, BY_DONE, CALLS, FILTERED, LISTS, PARTS, Json, Read

_COMMENT: Final = b":\n\n"
_BEGINS: Final = frozenset(("response.created", "response.queued", "response.in_progress"))
_ENDS: Final = frozenset(("response.completed", "response.incomplete", "response.failed"))
_PART_DONE: Final = frozenset(
    ("response.content_part.done", "response.reasoning_summary_part.done", "response.reasoning_part.done")
)


class ResponsesEditor(Editing):
    """One Response; see `edits.Editor`."""

    __slots__ = (
        "_item",
        "_later",
        "_later_bytes",
        "_numbers",
        "_opening",
        "_over",
        "_response",
        "_telling",
        "blocked",
    )

    def __init__(self, opening: Opening) -> None:
        super().__init__(RESPONSES)
        self._opening: Final = opening
        self._telling: Final = Telling()
        self._numbers: Final[Counter[str]] = Counter()
        self._item: Item | None = None
        self._later: list[Json] = []  # events of items behind the one that is open
        self._later_bytes = 0
        self._response: Json = {}
        self._over = False  # the last event was told, or an error
        self.blocked = False

    def edit(self, frame: bytes) -> Frames:
        payload = sse.data(frame)
        if payload is None:
            yield _COMMENT  # what it says is for nobody, that it came keeps the connection
            return
        if self._over or payload == sse.DONE:
            return
        event = read_object(payload)
        kind = str(event.get("type", ""))
        if kind == "error" or ("type" not in event and "error" in event):
            yield from self._drain()
            self._over = True
            yield self._telling.event(event) if kind else written_frame(event, "error")
        elif kind in _BEGINS:
            self._response = _object(event, "response")
            yield self._telling.response(kind, self._response)
        elif kind in _ENDS:
            yield from self._end_all()
            self._response = _object(event, "response")
            yield self._last(kind)
        elif not self.blocked:
            if self._is_later(event):
                self._later_bytes += len(payload)
                if self._later_bytes > MAX_HELD_BYTES:
                    raise StreamBroken(TOO_MUCH)
            yield from self._of_item(event)

    def freed(self) -> Iterator[bytes]:
        item = self._item
        if item is not None and item.text is not None:
            yield self._deliver(item, item.text, item.text.speaking.outlet.more())

    def close(self) -> Frames:
        yield from self._drain()
        if self.blocked and not self._over:
            yield self._last("response.incomplete")

    # -- the Response

    def _last(self, kind: str) -> bytes:
        self._over = True
        filtered = self.blocked and kind != "response.failed"
        response = self._response | FILTERED if filtered else self._response
        return self._telling.response("response.incomplete" if filtered else kind, response)

    def _end_all(self) -> Frames:
        """Ends the open item, and all that wait behind it."""
        while self._item is not None:
            yield from self._end_item(self._item)

    def _drain(self) -> Frames:
        """The stream ended before the Response did: what is judged of the text that is open."""
        item, self._item = self._item, None
        if item is not None and item.text is not None:
            yield from self._rest(item)

    # -- its items

    def _is_later(self, event: Json) -> bool:
        return self._item is not None and event.get("output_index") != self._item.sent_index

    def _of_item(self, event: Json) -> Frames:
        if self.blocked:
            return
        if self._is_later(event):
            self._later.append(event)
            return
        kind, item = str(event.get("type", "")), self._item
        try:
            if kind in ("response.output_item.added", "response.output_item.done"):
                sent = _object(event, "item")
                if item is None:
                    item = self._item = Item(sent, event.get("output_index"))
                    yield from self._begin(item)
                if kind == "response.output_item.done" and self._item is not None:
                    yield from self._fill(item, sent)
                    yield from self._end_item(item, sent)
            elif kind in BY_DELTA:
                yield from self._grow(_known(item), BY_DELTA[kind], event)
            elif kind in BY_DONE:
                read = BY_DONE[kind]
                yield from self._finish_text(_known(item), read, _key(event, read), texts.string(event, read.member))
            elif kind in _PART_DONE:
                yield from self._part_done(_known(item), event)
        except ValueError:
            raise UpstreamProtocol(NO_FRAME) from None

    def _begin(self, item: Item) -> Iterator[bytes]:
        read = CALLS.get(str(item.sent.get("type")))
        if read is not None:  # whether its tool may be called is judged before it is told
            yield self._open(item, read, None)

    def _fill(self, item: Item, sent: Json) -> Frames:
        """The last event of an item: what its texts did not say before."""
        kind = str(sent.get("type"))
        if kind in CALLS:
            yield from self._finish_text(item, CALLS[kind], None, texts.string(sent, CALLS[kind].member))
        for name in LISTS.get(kind, ()):
            said = item.said[name]
            for position, (index, read, text) in enumerate(texts.listed(sent, name)):
                if position >= len(said):
                    yield from self._finish_text(item, read, index, text)

    def _end_item(self, item: Item, sent: Json | None = None) -> Frames:
        yield from self._end_text(item)
        kind = str(item.sent.get("type"))
        if not self.blocked and (kind in LISTS or kind in CALLS):
            last = texts.kept(sent) if sent is not None else {"status": "completed"}
            item.said |= {name: value for name, value in last.items() if name not in ("id", "type")}
            yield self._telling.item_ended(item)
        elif not self.blocked and sent is not None:
            yield from self._whole(item, sent)
        self._item = None
        later, self._later, self._later_bytes = self._later, [], 0
        for event in later:
            yield from self._of_item(event)

    def _whole(self, item: Item, sent: Json) -> Frames:
        """An item of another type, whose last event came."""
        read = texts.of_document(sent)
        speaking = self._speaking(read, sent)
        given = [speaking.feed(texts.document(sent))]
        for text in speaking.end():
            if text is None:
                yield None
            else:
                given.append(text)
        said = texts.from_document(sent, "".join(given))
        if speaking.blocked or said is None:
            self.blocked = True
        else:
            yield self._telling.whole(said)

    # -- their texts

    def _grow(self, item: Item, read: Read, event: Json) -> Frames:
        key = _key(event, read)
        yield from self._turn_to(item, read, key)
        if item.text is not None and not self.blocked:
            yield self._feed(item, item.text, texts.string(event, "delta"))

    def _turn_to(self, item: Item, read: Read, key: int | None) -> Frames:
        """Opens a text, unless it is open; ends the one that was."""
        text = item.text
        if text is not None and (text.read, text.key) == (read, key):
            return
        if (read.at, key) in item.closed:
            raise ValueError
        yield from self._end_text(item)
        if not self.blocked:
            yield self._open(item, read, key)

    def _open(self, item: Item, read: Read, key: int | None) -> bytes:
        kind = str(item.sent.get("type"))
        if read.parts not in LISTS.get(kind, ()) if read.parts else CALLS.get(kind) is not read:
            raise UpstreamProtocol(NO_FRAME)
        item.text = Text(read, key, self._speaking(read, item.sent))
        return self._deliver(item, item.text, "")

    def _part_done(self, item: Item, event: Json) -> Frames:
        part = _object(event, "part")
        read = PARTS.get(str(part.get("type")))
        if item.text is not None and item.text.read is read:
            yield from self._finish_text(item, read, _key(event, read), texts.string(part, read.member))

    def _finish_text(self, item: Item, read: Read, key: int | None, whole: str) -> Frames:
        """A text has ended, and this is all of it; what no piece of it said is said now. The open text is the one that
        is meant, even where a backend numbers its ends in another way."""
        if item.text is not None and item.text.read is read:
            key = item.text.key
        elif (read.at, key) in item.closed:
            return
        yield from self._turn_to(item, read, key)
        text = item.text
        if text is None or self.blocked:
            return
        fed = "".join(text.fed)
        if whole.startswith(fed):
            yield self._feed(item, text, whole[len(fed) :])
        if not self.blocked:
            yield from self._end_text(item)

    def _end_text(self, item: Item) -> Frames:
        text = item.text
        if text is None or self.blocked:
            return
        yield from self._rest(item)
        if not self.blocked:
            yield self._telling.text(item, text) + self._telling.text_ended(item, text)

    def _rest(self, item: Item) -> Frames:
        """What is left of a text that has ended."""
        text, item.text = item.text, None
        assert text is not None
        item.closed.add((text.read.at, text.key))
        for given in text.speaking.end():
            yield None if given is None else self._deliver(item, text, given)

    def _feed(self, item: Item, text: Text, more: str) -> bytes:
        text.fed.append(more)
        return self._deliver(item, text, text.speaking.feed(more))

    def _deliver(self, item: Item, text: Text, given: str) -> bytes:
        """Tells what an outlet gave; the text, its item and the Response end here when it blocks."""
        told = self._telling.delta(item, text, given) if given else b""
        if not text.speaking.blocked:
            return told
        self.blocked = True
        self._item, item.text = None, None
        if text.index >= 0:
            told += self._telling.text_ended(item, text)
        return told + (self._telling.item_ended(item, "incomplete") if item.index >= 0 else b"")

    def _speaking(self, read: Read, item: Json) -> Speaking:
        number = self._numbers[read.kind]
        self._numbers[read.kind] += 1
        channel = Channel(0, read.kind, read.phase, number=number, is_json=read.is_json, tool=texts.tool_of(item))
        return Speaking(channel, self._opening(channel))


def _known(item: Item | None) -> Item:
    if item is None:
        raise ValueError
    return item


def _key(event: Json, read: Read) -> int | None:
    """The number of a text among those of its item; None for one that is alone."""
    found = event.get(read.at)
    if found is None or isinstance(found, int):
        return found
    raise ValueError(read.at)


def _object(event: Json, name: str) -> Json:
    found = event.get(name)
    if not isinstance(found, dict):
        raise UpstreamProtocol(NO_FRAME)
    return found


def of(call: Call, opening: Opening) -> ResponsesEditor:
    """The editor of this call's answer."""
    return ResponsesEditor(opening)
