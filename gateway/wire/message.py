"""A chat's message, whole (`message`) or a piece of it (`delta`): where its texts stand."""

from __future__ import annotations

from typing import Any, Final

from gateway.wire import choices

TEXTS: Final = {
    "reasoning": ("reasoning_content", "reasoning"),
    "content": ("content",),
    "refusal": ("refusal",),
}
"""The kinds of text in the order in which they are said, each with the names it may have. A backend that sends one text
under two names sends it twice: the first one counts for both."""

CALLS: Final = "tool_calls"
FUNCTION_CALL: Final = "function_call"
"""How one tool was called before there were `tool_calls`; some backends still say it so."""

FUNCTION: Final = ("function", "arguments")
CUSTOM: Final = ("custom", "input")


SIGNED: Final = "extra_content"


def holder(call: dict[str, Any]) -> tuple[str, str]:
    """Under which names a call holds its text: a function's arguments are JSON, a custom tool's input is not."""
    return CUSTOM if call.get("custom") is not None else FUNCTION


def about(call: dict[str, Any]) -> dict[str, Any]:
    """The members of a call that stand beside what it says. Google's signature of a thought, which its models want back
    with the call's result, is encrypted.
    """
    kept = choices.without_texts(call)
    if (signed := call.get(SIGNED)) is not None:
        kept[SIGNED] = signed
    return {name: value for name, value in kept.items() if value is not None}
