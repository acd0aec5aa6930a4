"""What encodings in a text say: base64, hexadecimal, percent and character escapes, rot13, leet, spaced letters, and
text hidden in characters that cannot be seen. Readers return texts and where their characters came from; what does
not come out as readable text is not returned. Every pattern here is matched in linear time.
"""

from __future__ import annotations

import binascii
import re
from array import array
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Final

from guardrails.offsets import Made, Offsets
from guardrails.respell import leet, rot13, spaced

Piece = tuple[str, str, Offsets]
"""How it was read, the text, and the offsets of its characters in the text it was read from."""

REPEATED_IN_VAIN: Final = frozenset({"leet", "rot13", "spaced"})
"""Reading so twice gives nothing new."""

_MOST_ALONE: Final = 8
"""More encoded parts of a kind than these are read as one text."""

_BASE64: Final = re.compile(
    r"(?<![A-Za-z0-9+/_-])(?:[A-Za-z0-9+/_-]{40,}+(?:\r?\n[A-Za-z0-9+/_-]{40,}+)*+(?:\r?\n[A-Za-z0-9+/_-]{2,}+)?+={0,2}|[A-Za-z0-9+/_-]{16,}+={0,2})"
)
_LEAST_BASE64: Final = 16
_HEX: Final = re.compile(r"(?<![0-9A-Za-z])(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s:,;-]{0,2}+){6,}+")
_HEX_BYTE: Final = re.compile(r"(?:0x|\\x)?([0-9a-fA-F]{2})")
_PERCENT: Final = re.compile(r"(?:%[0-9a-fA-F]{2}){1,}+")
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})|\\u\{([0-9a-fA-F]{1,6})\}|\\x([0-9a-fA-F]{2})")
_ENTITY: Final = re.compile(r"&#[xX]([0-9a-fA-F]{1,6});|&#([0-9]{1,7});")
_LEAST_ESCAPED: Final = 9
"""Characters that make up the escapes of a text; fewer are a blank or two of an address."""

_TAGS: Final = re.compile("(?<![\U0001f3f4\U000e0020-\U000e007e])[\U000e0020-\U000e007e]{4,}+")
_SELECTORS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}+")


def hidden(raw: str) -> list[Piece]:
    """Texts in tag characters and in variation selectors, which a reader does not see and a model may read."""
    if raw.isascii():
        return []
    found = [("tags", _from_tags(match[0]), _shifted(match.start(), len(match[0]))) for match in _TAGS.finditer(raw)]
    for match in _SELECTORS.finditer(raw):
        values = bytes(ord(each) - 0xFE00 if each < "\uff00" else ord(each) - 0xE0100 + 16 for each in match[0])
        found += _text(
            "selectors", values, range(match.start(), match.end()), range(match.start() + 1, match.end() + 1)
        )
    return found


def decoded(text: str, but: Set[str] = frozenset()) -> Iterator[Piece]:
    """What is read out of a canonical text, in the order of the cheapest first; of `REPEATED_IN_VAIN` not those of
    `but`.
    """
    if max(map(len, text.split()), default=0) >= _LEAST_BASE64:
        yield from _few("base64", [piece for match in _BASE64.finditer(text) for piece in _base64(match)])
    yield from _few("hex", [piece for match in _HEX.finditer(text) for piece in _hex(match)])
    yield from _unescaped("url", text, "%", _PERCENT, _percent)
    yield from _unescaped("escape", text, "\\", _ESCAPE, _character)
    yield from _unescaped("entity", text, "&#", _ENTITY, _character)
    for how, read in (("spaced", spaced), ("rot13", rot13), ("leet", leet)):
        if how not in but:
            for piece, offsets in read(text):
                yield how, piece, offsets


def _few(how: str, pieces: list[Piece]) -> list[Piece]:
    """The pieces, or where they are many, one that holds them all, a line each."""
    if len(pieces) <= _MOST_ALONE:
        return pieces
    starts, ends = array("q"), array("q")
    for _, _, offsets in pieces:
        starts.extend(offsets.starts)
        ends.extend(offsets.ends)
        starts.append(ends[-1])
        ends.append(ends[-1])
    return [(how, "".join(f"{text}\n" for _, text, _ in pieces), Offsets(starts, ends))]


def _from_tags(tags: str) -> str:
    return "".join([chr(ord(each) - 0xE0000) for each in tags])


def _shifted(start: int, length: int) -> Offsets:
    return Offsets(range(start, start + length), range(start + 1, start + length + 1))


def _text(how: str, values: bytes, starts: Sequence[int], ends: Sequence[int]) -> list[Piece]:
    """Bytes as text, if they are one; `starts[i]` and `ends[i]` tell where byte `i` was read."""
    if values[1:2] == b"\0" and values[3:4] == b"\0":  # UTF-16, as PowerShell's -EncodedCommand has it
        values, starts, ends = values[::2], starts[::2], ends[1::2]
        values = values[: len(ends)]
    try:
        text = values.decode()
    except UnicodeDecodeError as error:
        if error.start < 0.9 * len(values) or error.start < 6:
            return []
        text = values[: error.start].decode()
    shown = sum(map(str.isprintable, text)) + text.count("\n") + text.count("\t") + text.count("\r")
    if len(text) < 4 or shown < 0.9 * len(text):
        return []
    if len(text) == len(values):
        return [(how, text, Offsets(starts, ends))]
    firsts, lasts, at = array("q"), array("q"), 0
    for each in text:
        size = len(each.encode())
        firsts.append(starts[at])
        lasts.append(ends[at + size - 1])
        at += size
    return [(how, text, Offsets(firsts, lasts))]


def _base64(match: re.Match[str]) -> list[Piece]:
    units = match[0].rstrip("=")
    at: Sequence[int] = range(match.start(), match.start() + len(units))
    if "\n" in units:
        at = array("q", (match.start() + number for number, unit in enumerate(units) if unit not in "\r\n"))
        units = units.replace("\r", "").replace("\n", "")
    units = units.replace("-", "+").replace("_", "/")
    units = units[: len(units) - (len(units) % 4 == 1)]
    values = binascii.a2b_base64(units + "=" * (-len(units) % 4))
    if not _may_be_text(values):
        return []
    starts = array("q", [at[number * 8 // 6] for number in range(len(values))])
    ends = array("q", [at[(number * 8 + 7) // 6] + 1 for number in range(len(values))])
    return _text("base64", values, starts, ends)


def _hex(match: re.Match[str]) -> list[Piece]:
    if match[0].isdigit() and len(match[0]) < 24:  # a long number
        return []
    units = list(_HEX_BYTE.finditer(match[0]))
    values = bytes(int(unit[1], 16) for unit in units)
    if not _may_be_text(values):
        return []
    start = match.start()
    return _text("hex", values, [start + unit.start() for unit in units], [start + unit.end() for unit in units])


def _may_be_text(values: bytes) -> bool:
    """Cheap: most of what looks encoded is a name or a digest, and says nothing."""
    return sum(values[:12].translate(_READABLE)) >= 0.8 * len(values[:12])


_READABLE: Final = bytes(value in b"\t\n\r\0" or (value >= 32 and value != 127) for value in range(256))


def _unescaped(
    how: str, text: str, mark: str, pattern: re.Pattern[str], read: Callable[[re.Match[str]], str | None]
) -> Iterator[Piece]:
    """The text with its escapes read, if there are some."""
    found = list(pattern.finditer(text)) if mark in text else []
    if sum(match.end() - match.start() for match in found) < _LEAST_ESCAPED:
        return
    made = Made()
    at = 0
    for match in found:
        piece = read(match)
        if piece is None:
            continue
        made.copy(text[at : match.start()], at)
        made.put(piece, match.start(), match.end())
        at = match.end()
    if at == 0:
        return
    made.copy(text[at:], at)
    yield (how, *made.done())


def _percent(match: re.Match[str]) -> str | None:
    try:
        return bytes.fromhex(match[0].replace("%", "")).decode()
    except UnicodeDecodeError:
        return None


def _character(match: re.Match[str]) -> str | None:
    is_decimal = match[0][:2] == "&#" and match[0][2] not in "xX"
    code = int(next(filter(None, match.groups())), 10 if is_decimal else 16)
    return chr(code) if code < 0x110000 else None
