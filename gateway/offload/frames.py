"""What workers and the check process say to each other: four bytes with a length, then so many bytes of MessagePack.

A text travels as UTF-8 in which lone surrogates keep their places (`surrogatepass`): who answers with offsets counts
the same characters as who asked.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

LONGEST_TEXT: Final = 10 << 20
"""Bytes of a text that is asked about."""
LONGEST_FRAME: Final = LONGEST_TEXT + 4_096
_HEAD: Final = 4

UNAVAILABLE: Final = "unavailable"
"""Nobody there can answer: no process, no weights, no room, an answer that is none."""
LATE: Final = "late"
"""The deadline has passed."""


class Question(msgspec.Struct, frozen=True, array_like=True):
    """A worker's."""

    number: int
    """The worker's own, told back with the answer."""
    kind: str
    """As in `guardrails.check.Need`."""
    name: str
    text: bytes
    until_s: float
    """By the machine's monotonic clock: later nobody waits for the answer."""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The check process's: a value, or why there is none."""

    number: int
    value: Any = None
    failure: str = ""


class Broken(ValueError):
    """What came is no frame; nothing that follows can be read."""


class Frames:
    """Cuts what comes into frames."""

    __slots__ = ("_longest", "_pending", "_wanted")

    def __init__(self, longest: int = LONGEST_FRAME) -> None:
        self._longest = longest
        self._pending = bytearray()
        self._wanted = _HEAD

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are whole now. Raises `Broken` for one that is too long, as soon as its length is there."""
        pending = self._pending
        pending += data
        frames: list[bytes] = []
        at = 0
        while len(pending) - at >= self._wanted:
            length = int.from_bytes(pending[at : at + _HEAD], "big")
            if length > self._longest:
                raise Broken(f"a frame of {length} bytes; at most {self._longest}")
            end = at + _HEAD + length
            if end > len(pending):
                self._wanted = _HEAD + length
                break
            frames.append(bytes(pending[at + _HEAD : end]))
            at, self._wanted = end, _HEAD
        del pending[:at]
        return frames


def framed(message: Question | Answer) -> bytes:
    """As sent."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_HEAD, "big") + body


def question(frame: bytes) -> Question:
    """Raises `Broken`."""
    found: Question = _read(_questions, frame)
    return found


def answer(frame: bytes) -> Answer:
    """Raises `Broken`."""
    found: Answer = _read(_answers, frame)
    return found


def _read(decoder: msgspec.msgpack.Decoder[Any], frame: bytes) -> Any:
    try:
        return decoder.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Broken("a frame that says nothing") from error


def packed(text: str) -> bytes:
    """A text as it travels."""
    return text.encode("utf-8", "surrogatepass")


def unpacked(data: bytes) -> str:
    """The inverse of `packed`. Raises `Broken` for anything else."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise Broken("a text that is no UTF-8") from error


_encoder: Final = msgspec.msgpack.Encoder()
_questions: Final = msgspec.msgpack.Decoder(Question)
_answers: Final = msgspec.msgpack.Decoder(Answer)
