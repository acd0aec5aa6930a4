"""What a model's chat template adds to the text of a call, in tokens: beyond it a body has at most as many as bytes.

It is measured where the backend counts (`wire.tokenize.EXAMPLES`), and every number errs towards more: a letter of an
example is taken to have made no token, and of two messages one is taken to have made all. What was measured only raises
what is assumed of any model, since an example cannot show all that options of a call make a template say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.wire.tokenize import TOOL

TEMPLATE_TOKENS: Final = 128
"""What a chat template adds once: its own system prompt, markers, the date."""
TOOLS_TOKENS: Final = 1024
"""What it adds where there are tools: how to call them."""
MARGIN_TOKENS: Final = 64
"""What it may add to an example where a call asks for it: how hard to think, an empty thought, another date."""
MESSAGE_BYTES: Final = len(b'{"role":"user"},')
"""No message is shorter. Each brings so many bytes at least, which make no tokens."""


class Overhead:
    """Of one model of one backend. A body has at most `template` tokens more than bytes, `tools` more where it has
    any, and `each` more for every JSON object in it: each message and each tool is at least one.
    """

    __slots__ = ("_measured", "doubted", "each", "template", "tools")

    def __init__(self) -> None:
        self.template = TEMPLATE_TOKENS
        self.tools = TOOLS_TOKENS
        self.each = 0
        self.doubted = False
        """A call used more than it could have by these numbers: they are to be measured again."""
        self._measured: dict[str, tuple[int, int, int]] = {}

    def measured(self, endpoint: str, counts: Sequence[int | None]) -> None:
        """What this endpoint counted of the examples, in their order; None where it could not. Endpoints may differ:
        the most of any stands.
        """
        self._measured[endpoint] = _of(counts)
        found = self._measured.values()
        self.template = max(each[0] for each in found)
        self.tools = max(each[1] for each in found)
        self.each = max(each[2] for each in found)


def _of(counts: Sequence[int | None]) -> tuple[int, int, int]:
    message, messages, tool, tools = counts
    if message is None:
        return TEMPLATE_TOKENS, TOOLS_TOKENS, 0
    each = 0
    if messages is not None:  # two more
        each = max(each, messages - message - MESSAGE_BYTES)
    if tool is not None and tools is not None:  # one more
        each = max(each, tools - tool - len(TOOL))
    added = 0 if tool is None else tool - message
    return max(TEMPLATE_TOKENS, message + MARGIN_TOKENS), max(TOOLS_TOKENS, added), each
