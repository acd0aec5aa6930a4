"""Names of tenants, projects, keys and principals: what keeps one from being a name, said so that it can be seen.

Names are plain ASCII (`config.leaves.Name`): two that look alike are the same.
"""

from __future__ import annotations

import re
import unicodedata

MOST_CHARS = 64
_GOOD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_RULE = "letters a-z and A-Z, digits, '.', '_' and '-', at most 64, a letter or digit first"


def problem(name: str) -> str | None:
    """Why this is not a name, None when it is one. A character that cannot be seen, or that looks like another, is told
    by its number and its name."""
    if _GOOD.fullmatch(name):
        return None
    if not name:
        return f"a name is not empty: {_RULE}"
    for at, char in enumerate(name, 1):
        if not (char.isascii() and (char.isalnum() or char in "._-")):
            return f"character {at} is {_called(char)}, which no name holds: {_RULE}"
    if len(name) > MOST_CHARS:
        return f"a name has at most {MOST_CHARS} characters, this one has {len(name)}"
    return f"a name begins with a letter or a digit, not with {_called(name[0])}: {_RULE}"


def visible(name: str) -> str:
    """A name as a message may show it: what cannot be seen is written out, and what is long is cut."""
    text = name if name.isprintable() else repr(name)[1:-1]
    return text if len(text) <= 80 else text[:79] + "…"


def _called(char: str) -> str:
    """`"/"`, `a space`, `U+0430 (CYRILLIC SMALL LETTER A)`."""
    if char == " ":
        return "a space"
    if char.isascii() and char.isprintable():
        return f'"{char}"'
    number = f"U+{ord(char):04X}"
    called = unicodedata.name(char, "")
    if not called and unicodedata.category(char) == "Cc":
        called = "a control character"
    return f"{number} ({called})" if called else number
