"""The texts of a request, of all formats that are JSON, and the request with other texts in their place.

What was read is what is sent: a field that is read is written anew from what was decoded, so that no second reading of
its bytes (a member that is there twice, an odd escape) can find another text. All other fields stay the bytes they
were. Fields that no one here has heard of are read too: a server may put them into its prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body
from gateway.wire.body import Fields
from gateway.wire.call import Call
from gateway.wire.edits import Part
from gateway.wire.text_walk import Json, Members, TextWalk, called, string_of

NO_TEXT: Final = frozenset(
    (
        *("model", "user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "cache_salt"),
        *("conversation", "previous_response_id", "request_id", "session_id", "service_tier", "store", "container"),
        *("stream_options", "include", "modalities", "audio", "tool_choice", "function_call", "mcp_servers"),
        *("reasoning", "thinking", "truncation", "truncation_side", "encoding_format"),
        *("stop", "stop_sequences", "logit_bias", "stop_token_ids", "allowed_token_ids", "logprob_token_ids"),
    )
)
"""Fields that go into no prompt: names, settings, what ends an answer, and what a caller lets a server keep of its
own.
"""

LEAKS: Final = (
    *("logprobs", "top_logprobs", "prompt_logprobs", "logprob_token_ids", "n_probs"),
    *("return_token_ids", "return_tokens_as_token_ids", "return_tokens", "return_token_offsets"),
    *("return_prompt_text", "enable_response_messages", "return_hidden_states"),
)
"""Fields of OpenAI's API, vLLM, SGLang and llama.cpp that have tokens told beside the text: none of it is checked."""
_ASKS_NOTHING: Final = frozenset((b"null", b"false", b"[]"))
_NONE_AT_ZERO: Final = frozenset(("top_logprobs", "n_probs"))
"""Of the others, 0 asks for the tokens that were said."""

_TOOLS: Final = frozenset(("tools", "functions"))
_OPENS: Final = frozenset(b'"[{')


def _number(digits: str) -> msgspec.Raw:
    """A number as it was written: as a float it might become another."""
    return msgspec.Raw(digits.encode())


def _written(value: Any) -> Json:
    assert isinstance(value, Members)
    return value.joined()


_decode: Final = msgspec.json.Decoder(float_hook=_number).decode
_encode: Final = msgspec.json.Encoder(enc_hook=_written).encode


class RequestTexts:
    """The texts of a request (`edits.Texts`)."""

    __slots__ = ("_call", "_read", "_walk", "leaks", "offered", "parts", "results", "unread")

    def __init__(self, call: Call) -> None:
        """Raises InvalidRequest for what cannot be read."""
        read: Json = {}
        offered: list[str] = []
        walk = TextWalk()
        fields = call.fields
        try:
            for name, raw in fields.items():
                if name not in NO_TEXT and memoryview(raw)[0] in _OPENS:
                    value = read[name] = wire_body.typed(_decode, raw, wire_body.shown(name))
                    if name in _TOOLS:
                        offered += _offered(value)
                    walk.read(read, name)
        except RecursionError:
            raise InvalidRequest("the body is nested too deeply") from None
        self._call: Final = call
        self._read: Final = read
        self._walk: Final = walk
        self.parts: Final[Sequence[Part]] = walk.parts
        self.unread: Final = walk.unread
        self.results: Final[Sequence[str]] = walk.results
        self.offered: Final[Sequence[str]] = offered
        self.leaks: Final = _leak(fields)

    def said(self, texts: Sequence[str]) -> tuple[dict[str, bytes], bytes]:
        """The fields that were read, and the whole body, with these texts in place of `parts`. Raises InvalidRequest
        where a text does not fit its place any more.
        """
        self._walk.replace(texts)
        changes = {name: _encode(value) for name, value in self._read.items()}
        return changes, wire_body.join(self._call.fields, changes)


def _offered(tools: Any) -> Iterator[str]:
    """The names of tools, as any format offers them; one that the server brings along goes by its type."""
    for tool in tools if type(tools) is list else ():
        if type(tool) is not dict:
            continue
        inner = tool.get("tools")
        allowed = tool.get("allowed_tools")
        if type(inner) is list:  # a namespace of Responses
            yield from _offered(inner)
        elif type(allowed) is list and allowed:  # of a server of tools
            yield from (each for each in allowed if type(each) is str)
        else:
            yield string_of(called(tool), "name") or string_of(tool, "type")


def _leak(fields: Fields) -> str:
    for name in LEAKS:
        if name in fields:
            value = bytes(fields[name])
            if value not in _ASKS_NOTHING and not (value == b"0" and name in _NONE_AT_ZERO):
                return name
    asked = wire_body.typed(_decode, fields["include"], "include") if "include" in fields else None
    told = type(asked) is list and any(type(each) is str and each.endswith("logprobs") for each in asked)
    return "include" if told else ""
