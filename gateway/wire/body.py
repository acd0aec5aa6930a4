"""A JSON body as its top-level fields: each name with the bytes of its value, never decoded or re-encoded here.

This is all the gateway reads of a request by itself: the messages stay bytes. What a field must be
is said by the endpoint's module, with the small typed getters at the end of this file.

Refused here, with a 400: what is empty, not JSON (UTF-8, no byte order mark), not an object, or nested deeper than the
parser goes; and a field that appears twice, since two parsers may read it differently: one of them is the gateway,
which checks the model's name, and the other is the backend. Two spellings of one name (`"model"`, `"mod\\u0065l"`) are
the same field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import malformed
from gateway.wire.long_strings import Shortened, shorten

Fields = dict[str, msgspec.Raw]
T = TypeVar("T")

_decode: Final = msgspec.json.Decoder(Fields).decode
_decode_name: Final = msgspec.json.Decoder(str).decode
_decode_text: Final = msgspec.json.Decoder(str | None).decode
_decode_flag: Final = msgspec.json.Decoder(bool | None).decode
_decode_whole: Final = msgspec.json.Decoder(int | None).decode
_encode: Final = msgspec.json.Encoder().encode

MAX_FIELDS: Final = 1_000
"""Of the body, and of an object in it that is read. Requests have about twenty; walking millions would hold up all
others.
"""

_LARGE_BYTES: Final = 32_768
"""From here on copying costs more than counting, and looking for long strings costs less than parsing them."""

_NAME: Final = re.compile(rb'[ \t\n\r]*("[^"\\]*+(?:\\.[^"\\]*+)*+")[ \t\n\r]*:[ \t\n\r]*', re.DOTALL)
_AFTER_VALUE: Final = re.compile(rb"[ \t\n\r]*([,}])")


def fields(body: bytes) -> Fields:
    """The top-level fields of a JSON object, in order, each value as the bytes it came in.

    Raises InvalidRequest; its message holds a position or a field's name, never a value.
    """
    if len(body) >= _LARGE_BYTES and (short := shorten(body)) is not None:
        try:
            return _fields_of_large(body, short)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # the whole body is refused below, where the message has the right position
    try:
        found = _decode(body)
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply") from None
    except msgspec.ValidationError:
        raise InvalidRequest("the body must be a JSON object") from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(_explain(body, error)) from None
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not valid JSON: a field's name is not UTF-8") from None
    _bound(found)
    if not _has_all(body, found):
        _, twice = _spans(body, found)
        if twice is not None:
            raise _appears_twice(twice)
    return found


def deny(fields: Fields, denied: frozenset[str]) -> None:
    """Raises InvalidRequest naming the first field that is in `denied`."""
    if denied.isdisjoint(fields):
        return
    name = next(name for name in fields if name in denied)
    raise InvalidRequest(f"the field {name} is not accepted by this gateway", param=name)


def join(fields: Fields, changes: Mapping[str, bytes]) -> bytes:
    """A JSON object of these fields, where `changes` (name → JSON) replaces a field in its place or adds it at the end.

    The bytes of every other value are copied as they are; only the space between top-level fields is not kept.
    """
    whole = fields.copy()
    for name, value in changes.items():
        whole[name] = msgspec.Raw(value)
    return _encode(whole)


def members(fields: Fields, name: str) -> Fields:
    """The members of a field that is an object, empty when it is absent or null; a repeated member is refused as in
    `fields`.
    """
    raw = fields.get(name)
    if raw is None or raw == _NULL:
        return {}
    value = bytes(raw)
    try:
        found = _decode(value)
    except msgspec.ValidationError:
        raise InvalidRequest(f"{name} must be an object", param=name) from None
    _bound(found)
    if not _has_all(value, found):
        _, twice = _spans(value, found)
        if twice is not None:
            raise InvalidRequest(f"{name}.{shown(twice)} appears more than once", param=name)
    return found


def text(fields: Fields, name: str, max_chars: int) -> str | None:
    """A string of at most `max_chars`; None when absent or null."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        value: str | None = _decode_text(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidRequest(f"{name} must be a string", param=name) from None
    if value is not None and len(value) > max_chars:
        raise InvalidRequest(f"{name} must have at most {max_chars} characters", param=name)
    return value


def required_text(fields: Fields, name: str, max_chars: int) -> str:
    """A non-empty string of at most `max_chars`."""
    value = text(fields, name, max_chars)
    if not value:
        raise InvalidRequest(f"{name} is required and must be a non-empty string", param=name)
    return value


def flag(fields: Fields, name: str) -> bool:
    """A boolean; absent and null are false."""
    raw = fields.get(name)
    if raw is None:
        return False
    try:
        return _decode_flag(raw) is True
    except msgspec.DecodeError:
        raise InvalidRequest(f"{name} must be true or false", param=name) from None


def whole_number(fields: Fields, name: str, least: int) -> int | None:
    """An integer of at least `least` and within 32 bits; None when absent or null."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        value: int | None = _decode_whole(raw)
    except msgspec.DecodeError:
        raise InvalidRequest(f"{name} must be a whole number", param=name) from None
    if value is not None and not least <= value < 2**31:
        raise InvalidRequest(f"{name} must be at least {least} and below 2147483648", param=name)
    return value


def present(fields: Fields, name: str) -> msgspec.Raw:
    """The bytes of a field that must be there and not null."""
    raw = fields.get(name)
    if raw is None or raw == _NULL:
        raise InvalidRequest(f"{name} is required", param=name)
    return raw


def typed(decode: Callable[[msgspec.Raw], T], value: msgspec.Raw, name: str) -> T:
    """A field's value, or a member of one, as `decode` types it. Raises InvalidRequest that says where in `name` it is
    something else.
    """
    try:
        return decode(value)
    except msgspec.ValidationError as wrong:
        reason, _, where = str(wrong).partition(" - at `$")
        place = name + where.removesuffix("`")
        raise InvalidRequest(f"{place}: {reason[:1].lower()}{reason[1:]}", param=place) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidRequest(f"{name} is not valid JSON", param=name) from None
    except RecursionError:
        raise InvalidRequest(f"{name} is nested too deeply", param=name) from None


def shown(name: str) -> str:
    """A field's name as a message may show it: a caller can put anything there, so a short printable start of it."""
    kept = name[:64] if name.isprintable() else ascii(name[:64])
    return kept if len(name) <= 64 else kept + "…"


_NULL: Final = msgspec.Raw(b"null")


def _has_all(body: bytes, found: Fields) -> bool:
    """Whether a body is visibly nothing but these fields; False says nothing.

    The parser keeps the last value of a repeated field. n fields take at least their names and values and 4n + 1 bytes
    of quotes, colons, commas and braces; a dropped field takes five more, so a body of exactly that length (JSON
    without spaces) has no room for one. A body longer by the spaces of Python's `json.dumps` might: there, writing
    what was kept must give the body again.
    """
    room = len(body) - 1
    for name, value in found.items():
        room -= len(name) + len(value) + 4
    return room == 0 or (room == 2 * len(found) - 1 and _spaced(found) == body)


def _spaced(found: Fields) -> bytes:
    parts: list[bytes | msgspec.Raw] = []
    for name, value in found.items():
        parts += (b', "', name.encode(), b'": ', value)
    parts[0] = b'{"'
    parts.append(b"}")
    return b"".join(parts)


def _spans(body: bytes, found: Fields) -> tuple[list[tuple[str, int, int]], str | None]:
    """Name, begin and end of each field's value, and the first name that is there twice (None, when none is).

    Walks the top level of a body known to be valid JSON. `found` holds the last value of each name: where the bytes
    after a name are not that value, a later one replaced it. Where they are, they are the whole value (one JSON value
    begins another only among numbers, and then no comma or brace follows), so the walk steps over it without reading
    it.
    """
    spans: list[tuple[str, int, int]] = []
    seen: set[str] = set()
    at = body.index(b"{") + 1
    while name_match := _NAME.match(body, at):
        name = _decode_name(name_match[1])
        if name in seen:
            return spans, name
        seen.add(name)
        value = bytes(found[name])
        begin = name_match.end()
        end = begin + len(value)
        after = _AFTER_VALUE.match(body, end)
        if after is None or not body.startswith(value, begin):
            return spans, name
        spans.append((name, begin, end))
        at = after.end()
    return spans, None


def _fields_of_large(body: bytes, short: Shortened) -> Fields:
    found = _decode(short.text)
    _bound(found)
    spans, twice = _spans(short.text, found)
    if twice is not None:
        raise _appears_twice(twice)
    view = memoryview(body)
    return {name: msgspec.Raw(view[short.original(begin) : short.original(end)]) for name, begin, end in spans}


def _bound(found: Fields) -> None:
    if len(found) > MAX_FIELDS:
        raise InvalidRequest(f"an object here may have at most {MAX_FIELDS} fields")


def _appears_twice(name: str) -> InvalidRequest:
    return InvalidRequest(f"the field {shown(name)} appears more than once", param=shown(name))


def _explain(body: bytes, error: msgspec.DecodeError) -> str:
    if not body.strip():
        return "the body is empty; a JSON object is expected"
    return f"the body is not valid JSON: {malformed.reason(body, error)}"
