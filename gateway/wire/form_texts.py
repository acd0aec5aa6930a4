"""The texts of a form (transcriptions), and the form with other texts in their place. The sound is not read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.errors import InvalidRequest
from gateway.wire import multipart
from gateway.wire.call import Call
from gateway.wire.edits import INPUT, Part

NO_TEXT: Final = frozenset(
    (
        *("file", "model", "stream", "language", "to_language", "response_format", "temperature", "seed", "n"),
        *("timestamp_granularities", "timestamp_granularities[]", "include", "include[]", "chunking_strategy"),
        *("stream_include_usage", "stream_continuous_usage_stats", "use_beam_search", "length_penalty"),
        *("top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "user"),
        "max_completion_tokens",
    )
)
"""Parts that are settings and go into no prompt. All others are read, known or not."""
_INCLUDE: Final = ("include", "include[]")
_LOGPROBS: Final = b"logprobs"


class FormTexts:
    """The texts of a form (`edits.Texts`). Forms offer no tools and have no results of any."""

    __slots__ = ("_body", "_edge", "_read", "leaks", "parts")

    offered: Final[Sequence[str]] = ()
    results: Final[Sequence[str]] = ()
    unread: Final = ""

    def __init__(self, call: Call) -> None:
        """Raises InvalidRequest for a text that is not UTF-8."""
        body = call.body
        edge = multipart.boundary(call.content_type)
        leaks = ""
        read: list[multipart.Part] = []
        for part in multipart.parts(body, edge):
            if part.name in _INCLUDE and _LOGPROBS in body[part.start : part.end]:
                leaks = leaks or part.name
            if part.name not in NO_TEXT and not part.is_file and part.end > part.start:
                read.append(part)
        self._body: Final = body
        self._edge: Final = edge
        self._read: Final = read
        self.leaks: Final = leaks
        self.parts: Final[Sequence[Part]] = [Part(part.name, INPUT, _text(body, part)) for part in read]

    def said(self, texts: Sequence[str]) -> tuple[dict[str, bytes], bytes]:
        """The form with these texts; nothing of it is a field of JSON. Raises InvalidRequest if the boundary stands in
        one.
        """
        view = memoryview(self._body)
        pieces: list[bytes | memoryview] = []
        at = 0
        for part, text in zip(self._read, texts, strict=True):
            value = text.encode()
            if b"--" + self._edge in value:
                raise InvalidRequest(
                    f"the boundary of the form stands in {part.name}; use another boundary", param=part.name
                )
            # The head is written anew too: a length or an encoding that was stated there might now be wrong.
            head = b'content-disposition: form-data; name="%b"\r\n\r\n' % part.name.encode()
            pieces += (view[at : part.head], head, value)
            at = part.end
        pieces.append(view[at:])
        return {}, b"".join(pieces)


def _text(body: bytes, part: multipart.Part) -> str:
    try:
        return body[part.start : part.end].decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{part.name} must be UTF-8", param=part.name) from None
