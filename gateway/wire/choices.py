"""What chat and completions have in common where an answer is edited: what is kept of it beside its texts.

Each function raises UpstreamProtocol for what does not have the format's shape.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.errors import UpstreamProtocol

FILTERED: Final = "content_filter"
"""Why a choice ended of which a part was blocked."""

TOKENS: Final = frozenset(
    {
        *("token_ids", "prompt_token_ids", "prompt_logprobs", "prompt_text", "routed_experts", "hidden_states"),
        *("__verbose", "obfuscation"),
    }
)
"""Members of an answer that tell its texts once more, as tokens or as they were before; `obfuscation` pads a text that
is no longer there."""

MISSHAPEN: Final = "the backend's answer does not have the shape of its format, so that its texts cannot be checked"

_WORDS: Final = frozenset({"role", "stop_reason", "matched_stop", "id", "type"})
_LEFT_OUT: Final = TOKENS | {"index", "finish_reason", "logprobs"}


def beside(answer: dict[str, Any]) -> dict[str, Any]:
    """The members of an answer that are passed on as they came: all but what tells tokens."""
    return {name: value for name, value in answer.items() if name not in TOKENS}


def without_texts(value: dict[str, Any]) -> dict[str, Any]:
    """The members of a choice, of a message or of a call in it that hold no text: numbers, what is empty, and words of
    the format. Any other may hold what no check has seen."""
    return {
        name: each
        for name, each in value.items()
        if name not in _LEFT_OUT
        and (not each or isinstance(each, (bool, int, float)) or (name in _WORDS and isinstance(each, str)))
    }


def number(choice: dict[str, Any], otherwise: int = 0) -> int:
    """Which of the `n` a choice is."""
    index = choice.get("index", otherwise)
    if type(index) is not int:
        raise UpstreamProtocol(MISSHAPEN)
    return index


def reason(choice: dict[str, Any]) -> str | None:
    """Why a choice ended, if it has."""
    found = choice.get("finish_reason")
    if found is not None and not isinstance(found, str):
        raise UpstreamProtocol(MISSHAPEN)
    return found


def objects(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects in an object; empty where there is none."""
    found = value.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UpstreamProtocol(MISSHAPEN)
    return found


def member(value: dict[str, Any], name: str) -> dict[str, Any]:
    """An object in an object; empty where there is none."""
    found = value.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UpstreamProtocol(MISSHAPEN)
    return found


def text(value: dict[str, Any], *names: str) -> str:
    """The first of these members that says something; "" when none does."""
    said = ""
    for name in names:
        found = value.get(name)
        if found is None:
            continue
        if not isinstance(found, str):
            raise UpstreamProtocol(MISSHAPEN)
        said = said or found
    return said
