"""Writes guardrails/confusables.py: characters that look like Latin letters, from Unicode's own data (UTS 39, in ICU).

    python deploy/confusables.py > guardrails/confusables.py          # needs ICU 72 (Debian: libicu72)

Taken are letters of scripts that are used to imitate Latin (Greek, Cyrillic, Armenian, Cherokee, Lisu and old ones)
whose skeleton is one ASCII letter. Unicode's skeleton joins I, l and 1: an upper-case character becomes I, another l.
To these come Latin letters whose name says from which letter they are drawn (small capitals, strokes, hooks). What NFKC
changes is left out: it is normalised first.
"""

from __future__ import annotations

import ctypes
import re
import sys
import unicodedata

LEFT_OUT = ("ARABIC", "HEBREW", "THAI", "LAO", "CJK", "HANGUL", "KATAKANA", "HIRAGANA", "ETHIOPIC", "MYANMAR", "TAMIL")
DRAWN_FROM = re.compile(
    r"LATIN (?:SMALL LETTER|CAPITAL LETTER|LETTER SMALL CAPITAL) ([A-Z])"
    r"(?: WITH .*(?:STROKE|BAR|HOOK|TAIL|LOOP|CURL|LEG).*)?$"
    r"|(?:NEGATIVE )?(?:CIRCLED|SQUARED) LATIN CAPITAL LETTER ([A-Z])$|REGIONAL INDICATOR SYMBOL LETTER ([A-Z])$"
)
IMITATED = {
    "b": "вьβ",
    "d": "δ",
    "e": "ε",
    "h": "нʜ",
    "i": "ɪ",
    "k": "кκ",
    "l": "ʟ",
    "m": "мᴍ",
    "n": "пηπ",
    "o": "θ",
    "r": "гя",
    "t": "тτ",
    "u": "иμ",
    "w": "шω",
    "x": "χ",
}
"""What imitators use besides, though Unicode does not call it confusable."""


def skeletons() -> dict[str, str]:
    """Each character whose skeleton is ASCII."""
    library = ctypes.CDLL("libicui18n.so.72")
    error = ctypes.c_int(0)
    library.uspoof_open_72.restype = ctypes.c_void_p
    checker = ctypes.c_void_p(library.uspoof_open_72(ctypes.byref(error)))
    out = ctypes.create_string_buffer(256)
    found = {}
    for code in range(0x80, 0x20000):
        if 0xD800 <= code < 0xE000:
            continue
        raw = chr(code).encode()
        size = library.uspoof_getSkeletonUTF8_72(checker, 0, raw, len(raw), out, len(out), ctypes.byref(error))
        skeleton = out.raw[:size].decode()
        if skeleton.isascii():
            found[chr(code)] = skeleton
    return found


def imitates(character: str, skeleton: str | None) -> str | None:
    """The ASCII letter a character passes for, or None."""
    if unicodedata.normalize("NFKC", character) != character or unicodedata.decomposition(character):
        return None
    name = unicodedata.name(character, "")
    if (drawn := DRAWN_FROM.match(name)) is not None:
        letter = next(filter(None, drawn.groups()))
        return letter if "CAPITAL LETTER" in name and "SMALL CAPITAL" not in name else letter.lower()
    skeleton = {"rn": "m", "vv": "w"}.get(skeleton or "", skeleton)
    is_letter = unicodedata.category(character) in ("Lu", "Ll", "Lo", "Lt", "Nl")
    if skeleton is None or not is_letter or not re.fullmatch("[A-Za-z]", skeleton) or name.startswith(LEFT_OUT):
        return None
    return "I" if skeleton == "l" and character.isupper() else skeleton


def main() -> None:
    found = skeletons()
    table: dict[str, str] = {}
    for code in range(0x80, 0x20000):
        letter = imitates(chr(code), found.get(chr(code)))
        if letter is not None:
            table[letter] = table.get(letter, "") + chr(code)
    known = set("".join(table.values()))
    rough = {letter: "".join(each for each in drawn if each not in known) for letter, drawn in IMITATED.items()}
    sys.stdout.write(
        '"""Characters that pass for Latin letters, by letter. Written by `deploy/confusables.py` from the data of\n'
        "Unicode 15.0 (UTS 39, © Unicode, Inc., Unicode License V3: https://www.unicode.org/license.txt).\n"
        '"""\n\nfrom __future__ import annotations\n\nfrom typing import Final\n\n'
        f"LOOKALIKES: Final = {_written(table)}\n\nROUGH_LOOKALIKES: Final = {_written(rough)}"
        '"""Passes for the letter only among Latin ones: words of other languages are made of these."""\n'
    )


def _written(table: dict[str, str]) -> str:
    lines = "".join(f'    "{letter}": "{table[letter]}",\n' for letter in sorted(table) if table[letter])
    return f"{{\n{lines}}}\n"


if __name__ == "__main__":
    main()
