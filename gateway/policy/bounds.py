"""How many tokens a request can use at most, before anyone has counted: what its hold must cover.

Input: a token of a byte-level vocabulary covers at least one byte of the body, so a body has at most as many tokens as
bytes, and those that the model's chat template adds (`Overhead`): once, and for each message where that is longer than
the JSON around it. Media are no text: an image counts as the model's most for one, and its bytes do not. Output: what
the caller allows, for each answer it asks for; else the most that the model's configuration says it can put out.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

from gateway.policy.overhead import TEMPLATE_TOKENS, Overhead
from gateway.wire import body as wire_body
from gateway.wire.body import Fields
from gateway.wire.call import Call

KEPT_TOKENS: Final = 131_072
"""The most that a kept answer (`previous_response_id`) brings with it."""

DENSEST_BYTES: Final = 16
"""Hardly any text has more bytes to a token: where not even so few tokens fit, counting them would be for nothing."""

LIMITS: Final = {
    "chat": ("max_tokens", "max_completion_tokens"),
    "completions": ("max_tokens",),
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
}
"""Endpoints that generate, and the fields with which their callers bound an answer. The first is set to clamp one that
has none."""

SPEECH: Final = "transcriptions"
UNCOUNTED: Final = frozenset(("messages_count", "infer", "moderations", "traces"))
"""Endpoints that use no tokens."""
PAIRS: Final = frozenset(("rerank", "score"))
"""Endpoints that read the one text again with each of the others."""

_decode_limit: Final = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=0, lt=2**31)]).decode
_encode: Final = msgspec.json.Encoder().encode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_HIDDEN: Final = re.compile(rb"\\u00[4-7]")
"""A letter written as an escape, as no JSON library writes it: it may be one of `image_url`."""
_DATA: Final = re.compile(rb'"(?:url|image_url)"[ \t\n\r]*:[ \t\n\r]*"data:image/')
_TEXT_TOO: Final = frozenset(("tools", "functions", "documents", "chat_template_kwargs"))
_BRACKET: Final = b"["
_LIST: Final = _BRACKET[0]
"""The same as a number, for which bytes are searched much quicker."""
_ITEMS: Final = (b'"', b"[")


def input_tokens(call: Call, image_tokens: int, overhead: Overhead) -> int:
    """At most so many input tokens, cached ones included."""
    body, endpoint = call.body, call.endpoint
    most = body_tokens(body, overhead)
    if endpoint not in LIMITS:
        return _input_of_others(call, most)
    if "tools" in call.fields:
        most += overhead.tools
    if _may_show(body, endpoint) and (b"image" in body or b"\\u00" in body):
        most += _images(call, image_tokens)
    if call.continues is not None:
        most += KEPT_TOKENS
    return most


def body_tokens(body: bytes, overhead: Overhead) -> int:
    """The same of a body whose bytes are all there is to it."""
    most = len(body) + overhead.template
    if overhead.each:  # hardly any model: braces cannot be escaped, so that none is missed
        most += overhead.each * body.count(b"{")
    return most


def _may_show(body: bytes, endpoint: str) -> bool:
    """Whether it is worth looking for images, which takes longer than all else here: they stand in lists of parts,
    those within the list of messages, but for the items of responses.
    """
    return _LIST in (body if endpoint == "responses" else body.partition(_BRACKET)[2])


def _input_of_others(call: Call, most: int) -> int:
    endpoint = call.endpoint
    if endpoint in UNCOUNTED:
        return 0
    if endpoint == SPEECH:  # sound is no text: what is charged for it is the request
        return TEMPLATE_TOKENS
    return most + _pairs(call.fields) if endpoint in PAIRS else most


def output_tokens(call: Call, max_output: int) -> int:
    """At most so many output tokens, reasoning included, of all answers together. Raises InvalidRequest for a limit
    that is no whole number: a backend might read it differently.
    """
    fields = call.fields
    if call.endpoint == "chat" and "max_completion_tokens" not in fields:  # most calls
        told = fields.get("max_tokens")
        if told is None:
            return max_output * call.choices
        try:
            allowed: int = _decode_limit(told)
        except msgspec.DecodeError:
            pass  # null, or refused below, where it is named
        else:
            return allowed * call.choices
    names = LIMITS.get(call.endpoint)
    if names is None:
        return max_output if call.endpoint == SPEECH else 0
    limit = None
    for name in names:
        if name in fields:
            given = wire_body.whole_number(fields, name, 0)
            if given is not None and (limit is None or given > limit):
                limit = given
    return (max_output if limit is None else limit) * answers(call)


def answers(call: Call) -> int:
    """How many answers are made: `n` (or `best_of`) for each prompt."""
    choices = call.choices
    if call.endpoint == "completions":
        fields = call.fields
        if "best_of" in fields:
            choices = max(choices, wire_body.whole_number(fields, "best_of", 0) or 1)
        choices *= _prompts(fields["prompt"])
    return choices


def limited(call: Call) -> bool:
    """Whether the caller bounds the answer itself."""
    names = LIMITS.get(call.endpoint, ())
    return any(wire_body.whole_number(call.fields, name, 0) is not None for name in names if name in call.fields)


def clamped(call: Call, tokens: int) -> Call:
    """The call with each answer bounded by `tokens`, which is at least 1 and below what the caller allows."""
    names = LIMITS[call.endpoint]
    given = [name for name in names if name in call.fields] or names[:1]
    fields = dict(call.fields)
    for name in given:
        fields[name] = msgspec.Raw(b"%d" % tokens)
    return call.changed(fields=fields, body=_encode(fields))


def _prompts(prompt: msgspec.Raw) -> int:
    """How many prompts a completion has: texts and lists of token ids may come several at once."""
    raw = bytes(memoryview(prompt))
    if not raw.startswith(_BRACKET):
        return 1
    try:
        items = _decode_list(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 1
    return len(items) if items and bytes(memoryview(items[0])[:1]) in _ITEMS else 1


def _images(call: Call, image_tokens: int) -> int:
    """What images add, less the bytes of those that stand in the body: a base64 text of a megabyte is no megabyte of
    tokens. Only where nothing but messages can hold such a member: what looks like one in a tool's schema is text.
    """
    body = call.body
    images = body.count(b'"image_url"') + body.count(b'"input_image"') + body.count(b'"image"')
    images += len(_HIDDEN.findall(body))
    if not images or not _TEXT_TOO.isdisjoint(call.fields):
        return images * image_tokens
    inside = at = 0
    while found := _DATA.search(body, at):
        at = body.find(b'"', found.end())
        if at < 0:
            break
        inside += at - found.end()
    return images * image_tokens - inside


def _pairs(fields: Fields) -> int:
    """The texts on one side, once for each on the other."""
    one = _first(fields, ("query", "text_1", "queries", "data_1"))
    many = _first(fields, ("documents", "text_2", "items", "data_2"))
    if one is None or many is None:
        return 0
    try:
        times = len(_decode_list(many)) if bytes(memoryview(many)[:1]) == _BRACKET else 1
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        times = 1
    return (len(memoryview(one)) + 8) * times


def _first(fields: Fields, names: tuple[str, ...]) -> msgspec.Raw | None:
    return next((fields[name] for name in names if name in fields), None)
