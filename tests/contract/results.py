"""Answers as plain data that can be compared: what differs from request to request taken out, streams put together.

No pytest and no particular version of the openai package: it runs under both majors (see `cases`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

# Ids, clocks and caches: two servers, or one server asked twice, never agree on these.
CHANGING = frozenset(
    {
        *("id", "created", "timings", "cached_tokens", "created_cache_tokens", "_request_id"),
        *("created_at", "item_id", "call_id", "cache_write_tokens"),
    }
)

# The same sum in another order: a prompt that is already in the prefix cache is computed in other pieces.
FLOAT_TOLERANCE = 0.02


def plain(answer: Any) -> Any:
    """A response object as the JSON it came from, without what changes."""
    # The package's own types do not know an embedding in base64, and would warn.
    return without_changing(answer.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False))


def without_changing(value: Any) -> Any:
    """`value` without the fields of CHANGING, at any depth."""
    if isinstance(value, Mapping):
        return {name: without_changing(item) for name, item in value.items() if name not in CHANGING}
    if isinstance(value, list):
        return [without_changing(item) for item in value]
    return value


def joined(frames: Iterable[Any]) -> dict[str, Any]:
    """A stream as one answer: each choice's text, calls and log-probabilities joined, and every usage that was sent.

    How the text was cut into frames is left out: servers merge tokens when they are busy.
    """
    choices: dict[int, dict[str, Any]] = {}
    usage: list[Any] = []
    heads: list[dict[str, Any]] = []
    without_choices = 0
    for frame in frames:
        data = plain(frame)
        head = {name: data[name] for name in ("object", "model") if name in data}
        if head not in heads:
            heads.append(head)
        if data.get("usage") is not None:
            usage.append(data["usage"])
        without_choices += not data.get("choices")
        for choice in data.get("choices") or []:
            _add(choices.setdefault(choice["index"], {}), choice)
    return {
        "heads": heads,
        "choices": [choices[index] for index in sorted(choices)],
        "usage": sorted(usage, key=str),
        "frames_without_choices": without_choices,
    }


def _add(sum_: dict[str, Any], choice: dict[str, Any]) -> None:
    delta = choice.get("delta") or {"text": choice.get("text")}
    for name, value in delta.items():
        if name == "tool_calls":
            _add_calls(sum_.setdefault(name, {}), value or [])
        elif name == "role":
            sum_[name] = value
        elif isinstance(value, str):
            sum_[name] = sum_.get(name, "") + value
    if choice.get("finish_reason") is not None:
        sum_["finish_reason"] = choice["finish_reason"]
    for name, values in (choice.get("logprobs") or {}).items():
        # Text offsets are counted from where the frame begins or from where the answer begins, so they follow the cut.
        if isinstance(values, list) and name != "text_offset":
            sum_.setdefault("logprobs", {}).setdefault(name, []).extend(values)


def _add_calls(sum_: dict[str, Any], calls: list[dict[str, Any]]) -> None:
    for call in calls:
        one = sum_.setdefault(str(call.get("index", 0)), {"name": "", "arguments": ""})
        function = call.get("function") or {}
        one["name"] += function.get("name") or ""
        one["arguments"] += function.get("arguments") or ""


def differences(left: Any, right: Any, at: str = "") -> list[str]:
    """Where two results differ, as `path: left ≠ right`; empty when they agree. FLOAT_TOLERANCE is no difference."""
    if isinstance(left, dict) and isinstance(right, dict):
        found = []
        for name in sorted(left.keys() | right.keys(), key=str):
            here = f"{at}.{name}" if at else str(name)
            if name not in left or name not in right:
                found.append(f"{here}: only {'left' if name in left else 'right'}")
            else:
                found += differences(left[name], right[name], here)
        return found
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [
            line
            for index, pair in enumerate(zip(left, right, strict=True))
            for line in differences(*pair, f"{at}[{index}]")
        ]
    if isinstance(left, float) and isinstance(right, float):
        close = math.isclose(left, right, rel_tol=FLOAT_TOLERANCE, abs_tol=FLOAT_TOLERANCE)
        return [] if close else [f"{at}: {left} ≠ {right}"]
    if left != right or type(left) is not type(right):
        return [f"{at}: {_short(left)} ≠ {_short(right)}"]
    return []


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
