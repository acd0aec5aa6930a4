"""A streamed answer that is made of choices, edited: what chat and completions have in common.

Within a choice texts are said one after another: one ends where the next begins, and is judged to its end before
anything of the next is delivered. So what is delivered of a choice that is blocked late does not depend on when that
was known, and is what a whole answer would have had.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Final, Protocol

from gateway.errors import UpstreamProtocol
from gateway.wire import choices, sse
from gateway.wire.editing import Editing, Frames, Speaking, read_object, written_frame
from gateway.wire.edits import Channel, Opening
from gateway.wire.errors import OPENAI

_NOTHING_BESIDE: Final = frozenset({"index", "delta", "text", "logprobs", "finish_reason"})
"""Members of a choice of which none is told beside its text."""

_HEAD: Final = frozenset({"id", "object", "created", "model", "system_fingerprint", "service_tier"})

Delta = dict[str, Any]
Deltas = Iterator[Delta | None]
"""What is said, in order; None where an outlet's answers are waited for."""


class Place(Protocol):
    """Where in a choice the text of one channel stands."""

    def said(self, text: str) -> Delta:
        """A piece that says this."""
        ...

    def unsaid(self) -> Delta | None:
        """What must still be said of a text that has ended and is not blocked."""
        ...


class EditedChoice(ABC):
    """One of the `n`. A format adds `read`, `more` and `piece`."""

    __slots__ = ("_blocked", "_opening", "_place", "_speaking", "head", "index")

    def __init__(self, index: int, opening: Opening) -> None:
        self.index: Final = index
        self.head: dict[str, Any] = {}
        """The members of its last frame that all frames have."""
        self._blocked = False
        self._opening: Final = opening
        self._place: Place | None = None
        self._speaking: Speaking | None = None

    @abstractmethod
    def read(self, choice: dict[str, Any]) -> Deltas:
        """What is said of a choice of a frame, its end not included. Raises UpstreamProtocol."""

    @abstractmethod
    def piece(self, delta: Delta) -> dict[str, Any]:
        """The members of a choice that says this."""

    def is_blocked(self) -> bool:
        """It ended by a block; nothing of it follows."""
        return self._blocked

    @abstractmethod
    def more(self, choice: dict[str, Any]) -> str:
        """What a choice of a frame says, if that is more of the channel that is open and it has not ended; else ""."""

    def go_on(self, choice: dict[str, Any], text: str) -> list[dict[str, Any]]:
        """The choices that are sent for one of a frame that says more of the channel that is open: as of `take`."""
        place, speaking = self._place, self._speaking
        assert place is not None
        assert speaking is not None
        said = speaking.feed(text)
        if speaking.blocked:
            self._block()
            return [*([self._told(place.said(said))] if said else ()), self.filtered()]
        rest = {} if choice.keys() <= _NOTHING_BESIDE else choices.without_texts(choice)
        return [self._told(place.said(said) if said else {}, rest)] if said or any(rest.values()) else []

    def take(self, choice: dict[str, Any]) -> Deltas:
        """The choices that are sent for one of a frame; none for one that has ended by a block."""
        if self.is_blocked():
            return
        reason = choices.reason(choice)
        rest = choices.without_texts(choice)
        last: Delta | None = None
        for delta in self.read(choice):
            if last is not None:
                yield self._told(last)
            last = delta
            if delta is None:
                yield None
        if not self.is_blocked() and reason is None:
            if last is not None or any(rest.values()):
                yield self._told(last or {}, rest)
            return
        if last is not None:
            yield self._told(last)
        if self.is_blocked():
            yield self.filtered()
        else:
            yield from self.end()
            if not self.is_blocked():
                yield self._told({}, rest, reason)

    def end(self) -> Deltas:
        """The choices that end what is still being said."""
        if self.is_blocked():
            return
        for delta in self.ending():
            yield None if delta is None else self._told(delta)
        if self.is_blocked():
            yield self.filtered()

    def freed(self) -> Iterator[dict[str, Any]]:
        """The choices that say what answers set free."""
        if self._speaking is None:
            return
        assert self._place is not None
        text = self._speaking.outlet.more()
        if text:
            yield self._told(self._place.said(text))
        if self._speaking.blocked:
            self._block()
            yield self.filtered()

    def silence(self) -> dict[str, Any] | None:
        """A choice that says nothing, for what stands beside it; None for one that has ended."""
        return None if self.is_blocked() else self._told({})

    def filtered(self) -> dict[str, Any]:
        """The choice that ends a blocked one."""
        return self._told({}, reason=choices.FILTERED)

    def open(self, place: Place, channel: Channel) -> None:
        """Opens a channel, whose text stands in this place; the one before has ended."""
        self._place = place
        self._speaking = Speaking(channel, self._opening(channel))
        if self._speaking.blocked:
            self._block()

    @property
    def kind(self) -> str:
        """What is being said: the kind of the channel that is open, "" where none is."""
        return "" if self._speaking is None else self._speaking.channel.kind

    def say(self, text: str) -> Deltas:
        """More of the channel that is open; nothing where that was blocked."""
        if self._speaking is None or self._place is None:
            return
        said = self._speaking.feed(text)
        if said:
            yield self._place.said(said)
        if self._speaking.blocked:
            self._block()

    def ending(self) -> Deltas:
        """The rest of the channel that is open, which ends."""
        place, speaking = self._place, self._speaking
        if place is None or speaking is None:
            return
        self._place = self._speaking = None
        for text in speaking.end():
            if text is None:
                yield None
            elif text:
                yield place.said(text)
        if speaking.blocked:
            self._block()
        elif (unsaid := place.unsaid()) is not None:
            yield unsaid

    def _block(self) -> None:
        self._blocked = True
        self._place = self._speaking = None

    def _told(self, delta: Delta, rest: dict[str, Any] | None = None, reason: str | None = None) -> dict[str, Any]:
        return {**(rest or {}), "index": self.index, **self.piece(delta), "logprobs": None, "finish_reason": reason}


class ChoicesEditor(Editing):
    """The editor of a stream; `wanted` choices were asked for. A format adds `make`, and tells `most`: what a frame
    holds that says more of a text.
    """

    __slots__ = ("_choices", "_opening", "_wanted")
    most: ClassVar[bytes]

    def __init__(self, opening: Opening, wanted: int) -> None:
        super().__init__(OPENAI)
        self._opening: Final = opening
        self._wanted: Final = wanted
        self._choices: dict[int, EditedChoice] = {}

    @abstractmethod
    def make(self, index: int, opening: Opening) -> EditedChoice:
        """A choice of which the first frame came."""

    @property
    def blocked(self) -> bool:
        return sum(choice.is_blocked() for choice in self._choices.values()) >= self._wanted

    def at_once(self, frame: bytes) -> bytes | None:
        if not sse.holds(frame, self.most):
            return None
        payload = sse.data(frame)
        if payload is None or payload == sse.DONE:
            return None
        read = read_object(payload)
        found = read.get("choices")
        if not isinstance(found, list) or len(found) != 1 or "error" in read or not isinstance(found[0], dict):
            return None
        index = found[0].get("index")
        choice = self._choices.get(index) if type(index) is int else None
        text = "" if choice is None or found[0].get("finish_reason") is not None else choice.more(found[0])
        if choice is None or not text:
            return None
        choice.head, beside = _parted(read)
        said = choice.go_on(found[0], text)
        if not said:
            return _frame(choice.head, choice.silence(), beside) if any(beside.values()) else b""
        first = [_frame(choice.head, each) for each in said[:-1]]
        return b"".join([*first, _frame(choice.head, said[-1], beside)])

    def edit(self, frame: bytes) -> Frames:
        payload = sse.data(frame)
        if payload is None or payload == sse.DONE:
            if payload is not None:
                yield from self.close()
            yield frame
            return
        read = read_object(payload)
        if read.get("error") is not None:
            yield from self.close()
            yield written_frame({**read, "choices": []}) if read.get("choices") else frame
            return
        if not isinstance(read.get("choices"), list):
            raise UpstreamProtocol(choices.MISSHAPEN)
        found = choices.objects(read, "choices")
        if found:
            yield from self._edited(read, found)
        else:
            yield frame if _says_it_once(payload, read) else written_frame(choices.beside(read))

    def freed(self) -> Iterator[bytes]:
        for choice in self._choices.values():
            for said in choice.freed():
                yield _frame(choice.head, said)

    def close(self) -> Frames:
        for choice in self._choices.values():
            for said in choice.end():
                yield None if said is None else _frame(choice.head, said)

    def _edited(self, read: dict[str, Any], found: list[dict[str, Any]]) -> Frames:
        head, beside = _parted(read)
        last: dict[str, Any] | None = None
        for each in found:
            for said in self._choice(each, head).take(each):
                if last is not None:
                    yield _frame(head, last)
                last = said
                if said is None:
                    yield None
        if last is not None:
            yield _frame(head, last, beside)
        elif any(beside.values()):
            yield _frame(head, self._choice(found[0], head).silence(), beside)

    def _choice(self, told: dict[str, Any], head: dict[str, Any]) -> EditedChoice:
        index = choices.number(told)
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = self.make(index, self._opening)
        choice.head = head
        return choice


def _parted(read: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The members of a frame that all frames have, and those that are told with it once."""
    head: dict[str, Any] = {}
    beside: dict[str, Any] = {}
    for name, value in read.items():
        if name in _HEAD:
            head[name] = value
        elif name != "choices" and name not in choices.TOKENS:
            beside[name] = value
    return head, beside


def _frame(head: dict[str, Any], choice: dict[str, Any] | None, beside: dict[str, Any] | None = None) -> bytes:
    return written_frame({**head, "choices": [] if choice is None else [choice], **(beside or {})})


def _says_it_once(payload: bytes, read: dict[str, Any]) -> bool:
    """Whether no reader can find another list of choices in a frame than the empty one, nor tokens."""
    return payload.count(b'"choices"') == 1 and b"\\" not in payload and choices.TOKENS.isdisjoint(read)
