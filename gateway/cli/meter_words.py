"""Meters as they are written on a command line: `$50 month`, `600 requests 60s per=key 80%=warn`. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

_WINDOW = re.compile(r"[0-9]+[smh]|day|week|month|lifetime")
_SETTING = re.compile(r"(per|zone|[0-9.]+%)=(\S+)")
_DOWNGRADE = "downgrade:"


def meter(written: str) -> dict[str, Any]:
    """A meter as the API takes it. What it means is judged there; ValueError when it is not of this form."""
    if written.lstrip().startswith("{"):
        found = json.loads(written)
        assert isinstance(found, dict)  # it begins with a brace
        return found
    made: dict[str, Any] = {}
    cap: list[str] = []
    for word in written.split():
        setting = _SETTING.fullmatch(word)
        if setting is None:
            if _WINDOW.fullmatch(word) and cap:
                made["window"] = word
            elif len(cap) == (1 if "$" in "".join(cap) else 2):
                raise ValueError(_neither(word))
            else:
                cap.append(word)
        elif setting[1].endswith("%"):
            made.setdefault("at", {})[setting[1]] = _action(setting[2])
        else:
            made[setting[1]] = setting[2]
    if not cap:
        raise ValueError("a meter is a cap and a window, such as '$50 month' or '600 requests 60s'")
    return {"cap": " ".join(cap), **made}


def _neither(word: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, ("day", "week", "month", "lifetime"), n=1)
    told = f"did you mean {near[0]}?" if near else "a window is 60s, 5m, 1h, …, or day, week, month, lifetime"
    return f"{word!r} is neither a window nor a setting (per=key, zone=Europe/Berlin, 80%=warn): {told}"


def _action(word: str) -> Any:
    return {"downgrade": word.removeprefix(_DOWNGRADE)} if word.startswith(_DOWNGRADE) else word
