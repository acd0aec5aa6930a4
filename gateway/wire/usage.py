"""The usage an answer states, as disjoint classes of tokens.

OpenAI's `prompt_tokens` includes the cached ones and `completion_tokens` the reasoning; here every token is in one
class, so that a price per class is a sum of products. Reading never fails: an answer without a believable total has no
usage (None, "unknown"), and a part that is not believable counts as no part: it then stays in its total.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

MAX_TOKENS: Final = 2**40
"""No request has this many; more is a broken counter, and a record holds it in 64 bits."""


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one request; the classes do not overlap."""

    input_tokens: int
    """Without the cached ones."""
    cached_input_tokens: int
    output_tokens: int
    """Without reasoning."""
    reasoning_tokens: int


_Tokens = Annotated[int, msgspec.Meta(ge=0, le=MAX_TOKENS)]


class _InputParts(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class _OutputParts(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class _Stated(msgspec.Struct, gc=False):
    prompt_tokens: _Tokens | None = None
    completion_tokens: _Tokens | None = None
    prompt_tokens_details: _InputParts | None = None
    completion_tokens_details: _OutputParts | None = None


class _Answer(msgspec.Struct, gc=False):
    usage: _Stated | None = None


class _Frame(msgspec.Struct, gc=False):
    choices: list[msgspec.Raw] | None = None


class _RawAnswer(msgspec.Struct, gc=False):
    usage: msgspec.Raw = msgspec.Raw(b"null")


_decode: Final = msgspec.json.Decoder(_Answer).decode
_decode_frame: Final = msgspec.json.Decoder(_Frame).decode
_decode_raw: Final = msgspec.json.Decoder(_RawAnswer).decode
_decode_any: Final = msgspec.json.Decoder(dict[str, object]).decode


def from_answer(body: bytes) -> Usage | None:
    """The usage of a whole answer or of one stream frame's data; None when it states none, or none that can be
    believed.
    """
    try:
        stated = _decode(body).usage
        if stated is None:
            return None
        input_parts, output_parts = stated.prompt_tokens_details, stated.completion_tokens_details
        if input_parts is None and output_parts is None and stated.prompt_tokens is not None:
            return Usage(stated.prompt_tokens, 0, stated.completion_tokens or 0, 0)
        return disjoint(
            stated.prompt_tokens,
            stated.completion_tokens,
            None if input_parts is None else input_parts.cached_tokens,
            None if output_parts is None else output_parts.reasoning_tokens,
        )
    except msgspec.ValidationError:
        return _from_odd(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


from_frame: Final = from_answer
"""The same of one frame's data (`sse.data`); `[DONE]` states none."""


def is_all(payload: bytes) -> bool:
    """OpenAI's extra frame: no choices, only usage. Backends that put usage into their last choice say it unasked:
    that stays.
    """
    try:
        return not _decode_frame(payload).choices
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _from_odd(body: bytes) -> Usage | None:
    """Where a member has an unexpected type: whatever of the usage is still of the right one."""
    try:
        stated = _decode_any(_decode_raw(body).usage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return from_counts(stated, "prompt", "completion")


def from_counts(stated: Mapping[str, object], asked: str, said: str) -> Usage | None:
    """The usage in counts that are named after these two words."""
    input_parts, output_parts = stated.get(f"{asked}_tokens_details"), stated.get(f"{said}_tokens_details")
    return disjoint(
        stated.get(f"{asked}_tokens"),
        stated.get(f"{said}_tokens"),
        input_parts.get("cached_tokens") if isinstance(input_parts, dict) else None,
        output_parts.get("reasoning_tokens") if isinstance(output_parts, dict) else None,
    )


def disjoint(prompt: object, completion: object, cached: object, reasoning: object) -> Usage | None:
    """Counts as a backend stated them, the second two as parts of the first two; None when the totals cannot be
    believed.
    """
    if completion is None:  # embeddings have no output
        completion = 0
    if not (
        type(prompt) is int and 0 <= prompt <= MAX_TOKENS and type(completion) is int and 0 <= completion <= MAX_TOKENS
    ):
        return None
    if not (type(cached) is int and 0 <= cached <= prompt):
        cached = 0
    if not (type(reasoning) is int and 0 <= reasoning <= completion):
        reasoning = 0
    return Usage(prompt - cached, cached, completion - reasoning, reasoning)
