"""The text of a whole transcription, and the transcription with another in its place.

It is JSON with a member `text`, or, where the caller asked for text or subtitles, the body itself. What says the text
again in parts (`segments`, `words`, `logprobs`) is left out: no check reads across the borders of parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.errors import UpstreamProtocol
from gateway.wire import json_values
from gateway.wire.edits import OUTPUT, Outcome, Part

NO_TRANSCRIPTION: Final = "the backend's answer is no transcription"
_KEPT: Final = frozenset(("task", "language", "duration", "usage"))


class TranscriptionTexts:
    """One transcription; see `edits.Answer`. The format cannot tell that content was filtered: the text ends there."""

    __slots__ = ("_answer", "parts")

    def __init__(self, body: bytes) -> None:
        """Raises UpstreamProtocol for what is neither JSON with a text nor text."""
        self._answer: dict[str, Any] | None = None
        try:
            if body.lstrip().startswith(b"{"):
                self._answer = json_values.read(body)
                text = self._answer["text"]
            else:
                text = body.decode()
        except (ValueError, KeyError):
            raise UpstreamProtocol(NO_TRANSCRIPTION) from None
        if not isinstance(text, str):
            raise UpstreamProtocol(NO_TRANSCRIPTION)
        self.parts: Sequence[Part] = [Part("text", OUTPUT, text)]

    def said(self, outcomes: Sequence[Outcome]) -> bytes:
        """The transcription with what may be delivered of its text."""
        text = outcomes[0].text
        if self._answer is None:
            return text.encode("utf-8", "replace")
        kept = {name: value for name, value in self._answer.items() if name in _KEPT}
        return json_values.written({**kept, "text": text})
