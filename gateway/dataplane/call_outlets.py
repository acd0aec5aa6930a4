"""Where the text of a call goes that is judged by its tool: refused whatever it says, or watched only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.dataplane.outlets import Around, Judged, ruled
from guardrails.checks.tools import ToolPolicy
from guardrails.verdict import Verdict


class RuledCall:
    """A call, or an offer, that is refused for its name alone; `enforced` False: that is only noted."""

    __slots__ = ("_code", "blocked", "heard_bytes")

    def __init__(self, code: str, *, enforced: bool) -> None:
        self._code: Final = code
        self.blocked: Final = enforced
        self.heard_bytes = 0

    @property
    def waits(self) -> bool:
        return False

    def feed(self, text: str) -> str:
        self.heard_bytes += len(text.encode("utf-8", "replace"))
        return "" if self.blocked else text

    def more(self) -> str:
        return ""

    def finish(self) -> str:
        return ""

    def verdict(self) -> Verdict:
        return ruled(self._code, Verdict((), ()), enforced=self.blocked)


class WatchedCall(Around):
    """A call that passes as if there were no list of tools, while what the list would have refused is noted."""

    __slots__ = ("_code", "_is_json", "_results", "_tool", "_tools", "_whole")

    def __init__(self, inner: Judged, tools: ToolPolicy, tool: str, results: Sequence[str], *, is_json: bool) -> None:
        super().__init__(inner)
        self._tools: Final = tools
        self._tool: Final = tool
        self._results: Final = results
        self._is_json: Final = is_json
        self._whole: list[str] = []
        self._code = tools.refusal_by_name(tool, results) if is_json else tools.refusal_of_text(tool, results)

    def feed(self, text: str) -> str:
        if self._is_json and self._code is None:
            self._whole.append(text)
        return super().feed(text)

    def finish(self) -> str:
        if self._is_json and self._code is None:
            self._code = self._tools.refusal(self._tool, "".join(self._whole), self._results)
        return super().finish()

    def verdict(self) -> Verdict:
        return ruled(self._code, super().verdict(), enforced=False)
