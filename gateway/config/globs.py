"""Model patterns in which `*` stands for any run of characters, slashes included, as one compiled expression."""

from __future__ import annotations

import re
from collections.abc import Iterable


def compile_globs(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """An expression whose `fullmatch` says whether any of the patterns fits; None when there are none.

    Each inner part is matched atomically at its first place, which is enough for `*` and keeps time linear in parts ×
    length: callers choose the names that are matched.
    """
    return re.compile("|".join(map(_expression, patterns)), re.DOTALL) if (patterns := sorted(set(patterns))) else None


def _expression(pattern: str) -> str:
    first, *rest = (re.escape(part) for part in re.sub(r"\*+", "*", pattern).split("*"))
    if not rest:
        return first
    inner = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return f"{first}{inner}.*{rest[-1]}"
