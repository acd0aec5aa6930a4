"""The events that tell an edited Response, each with its number: what they repeat is what was delivered."""

from __future__ import annotations

from typing import Final

from gateway.wire.editing import Speaking, written_frame
from gateway.wire.responses import texts
from gateway.wire.responses.texts import CALLS, LISTS, Json, Read


class Text:
    """A text that grows. `key` is its number as the backend has it, `index` as the caller does once it is told."""

    __slots__ = ("fed", "given", "index", "key", "read", "speaking")

    def __init__(self, read: Read, key: int | None, speaking: Speaking) -> None:
        self.read: Final = read
        self.key: Final = key
        self.speaking: Final = speaking
        self.index = -1
        self.fed: list[str] = []
        self.given: list[str] = []


class Item:
    """An item of the output. `index` is its place for the caller, once it is told."""

    __slots__ = ("closed", "index", "said", "sent", "sent_index", "text")

    def __init__(self, sent: Json, sent_index: object) -> None:
        self.sent: Final = sent
        self.sent_index: Final = sent_index
        self.said: Json = {**texts.kept(sent), **{name: [] for name in LISTS.get(str(sent.get("type")), ())}}
        self.index = -1
        self.text: Text | None = None  # that grows
        self.closed: set[tuple[str, int | None]] = set()  # the texts that ended: `at` and key


class Telling:
    """Makes events. `output` are the items that were told and ended."""

    __slots__ = ("_items", "_number", "output")

    def __init__(self) -> None:
        self._number = 0
        self._items = 0
        self.output: Final[list[Json]] = []

    def event(self, event: Json, name: str | None = None) -> bytes:
        """This event with the next number."""
        numbered = {**event, "sequence_number": self._number}
        self._number += 1
        return written_frame(numbered, str(event["type"]) if name is None else name)

    def response(self, kind: str, response: Json) -> bytes:
        """An event of the Response itself, with the output so far."""
        whole = {**texts.without_texts(response), "output": self.output}
        if "output_text" in response:
            whole["output_text"] = texts.joined(self.output)
        return self.event({"type": kind, "response": whole})

    def item(self, item: Item) -> bytes:
        """That an item begins; b"" when it was told."""
        if item.index >= 0:
            return b""
        item.index = self._items
        self._items += 1
        call = CALLS.get(str(item.sent.get("type")))
        begun = {**item.said, **({call.member: ""} if call else {}), "status": "in_progress"}
        return self.event({"type": "response.output_item.added", "output_index": item.index, "item": begun})

    def text(self, item: Item, text: Text) -> bytes:
        """That a text begins, and its item if need be."""
        begun = self.item(item)
        if text.index >= 0:
            return begun
        text.index = len(item.said[text.read.parts]) if text.read.parts else 0
        if not text.read.parts:
            return begun
        return begun + self._part(item, text, "added", "")

    def delta(self, item: Item, text: Text, more: str) -> bytes:
        """A piece of a text."""
        text.given.append(more)
        begun = self.text(item, text)
        logprobs: Json = {"logprobs": []} if text.read.part == "output_text" else {}
        return begun + self._of_text(item, text, "delta", {"delta": more, **logprobs})

    def text_ended(self, item: Item, text: Text) -> bytes:
        """The end of a text that was told, with all of it."""
        read, whole = text.read, "".join(text.given)
        more: Json = {"logprobs": []} if read.part == "output_text" else {}
        if not read.parts:
            item.said[read.member] = whole
            name = {"name": item.said["name"]} if "name" in item.said and read.is_json else {}
            return self._of_text(item, text, "done", {read.member: whole, **name})
        item.said[read.parts].append(texts.part(read, whole))
        return self._of_text(item, text, "done", {read.member: whole, **more}) + self._part(item, text, "done", whole)

    def item_ended(self, item: Item, status: str | None = None) -> bytes:
        """The end of an item, which is told by now."""
        begun = self.item(item)
        if status is not None:
            item.said["status"] = status
        self.output.append(item.said)
        return begun + self.event({"type": "response.output_item.done", "output_index": item.index, "item": item.said})

    def whole(self, said: Json) -> bytes:
        """An item that comes whole."""
        index = self._items
        self._items += 1
        self.output.append(said)
        return b"".join(
            self.event({"type": f"response.output_item.{what}", "output_index": index, "item": said})
            for what in ("added", "done")
        )

    def _part(self, item: Item, text: Text, what: str, whole: str) -> bytes:
        part = texts.part(text.read, whole)
        return self.event({"type": f"{text.read.part_event}.{what}", **_place(item, text), "part": part})

    def _of_text(self, item: Item, text: Text, what: str, members: Json) -> bytes:
        return self.event({"type": f"{text.read.event}.{what}", **_place(item, text), **members})


def _place(item: Item, text: Text) -> Json:
    at = {text.read.at: text.index} if text.read.at else {}
    return {"item_id": item.said.get("id", ""), "output_index": item.index, **at}
