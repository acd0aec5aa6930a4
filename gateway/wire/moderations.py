"""POST /v1/moderations in OpenAI's format: which texts are to be judged, and the answer that tells how.

The check behind it gives one score: how sure it is that a text insults, threatens or demeans people. In OpenAI's words
that is `harassment` (of any target). It cannot tell any other category, so all others are false and 0, and
`category_applied_input_types` lists no type for them: they were not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body
from gateway.wire.call import MAX_MODEL_CHARS

JUDGED: Final = "harassment"
CATEGORIES: Final = (
    *(JUDGED, "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent"),
    *("self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors"),
    *("violence", "violence/graphic"),
)
"""All that OpenAI's clients expect."""

MAX_INPUTS: Final = 1_000
"""Texts of one request."""


class _Piece(msgspec.Struct):
    type: str
    text: str | None = None


class Asked(msgspec.Struct, frozen=True):
    """What a moderation is asked for. One result is due for each of `texts`."""

    texts: tuple[str, ...]
    model: str | None
    """As the caller names it; None: whatever there is."""


_decode_input: Final = msgspec.json.Decoder(str | list[str | _Piece]).decode
_encode: Final = msgspec.json.Encoder().encode


def parse(body: bytes) -> Asked:
    """Raises InvalidRequest; for images too, which nothing here can judge."""
    fields = wire_body.fields(body)
    given = wire_body.typed(_decode_input, wire_body.present(fields, "input"), "input")
    model = wire_body.text(fields, "model", MAX_MODEL_CHARS)
    if isinstance(given, str):
        return Asked((given,), model)
    if not given:
        raise InvalidRequest("input must not be empty", param="input")
    if len(given) > MAX_INPUTS:
        raise InvalidRequest(f"input may hold at most {MAX_INPUTS} texts", param="input")
    texts = tuple(each for each in given if isinstance(each, str))
    pieces = [each for each in given if isinstance(each, _Piece)]
    if texts and pieces:
        raise InvalidRequest("input must hold strings only, or objects only", param="input")
    return Asked(texts or ("\n".join(_text_of(piece, at) for at, piece in enumerate(pieces)),), model)


def answer(identity: str, model: str, scores: Sequence[float], threshold: float) -> bytes:
    """The answer's body: a result for each score (0 to 1), flagged from `threshold` on."""
    return _encode({"id": identity, "model": model, "results": [_result(score, threshold) for score in scores]})


def _text_of(piece: _Piece, at: int) -> str:
    """All objects of an input are judged as one, as OpenAI does."""
    if piece.type != "text":
        raise InvalidRequest(
            f"input[{at}]: only texts can be judged, nothing of type {wire_body.shown(piece.type)}",
            param=f"input[{at}]",
        )
    if piece.text is None:
        raise InvalidRequest(f"input[{at}].text must be a string", param=f"input[{at}].text")
    return piece.text


def _result(score: float, threshold: float) -> dict[str, object]:
    flagged = score >= threshold
    return {
        "flagged": flagged,
        "categories": {name: flagged and name == JUDGED for name in CATEGORIES},
        "category_scores": {name: score if name == JUDGED else 0.0 for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] if name == JUDGED else [] for name in CATEGORIES},
    }
