"""What checks found in a request's texts, as the words of its record: never the text."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from guardrails.verdict import Verdict

MOST: Final = 64
"""Words of one record; what was found by more checks than these is counted in the last one."""
UNPAID: Final = "unpaid"
"""Why a check did not judge: a budget has not enough left for the model that it asks."""
_MORE: Final = "more"
_ODD: Final = re.compile(r"[\s:]+")


def plain(name: str) -> str:
    """A name as a part of a word."""
    return _ODD.sub("_", name)


class Found:
    """Adds up verdicts, each of one text."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str, str], tuple[float, int]] = {}

    def add(self, phase: str, verdict: Verdict) -> None:
        """What was decided about a text of this phase."""
        for ruling in verdict.rulings:
            finding = ruling.finding
            action = ruling.action.value if ruling.enforced else f"would_{ruling.action.value}"
            self._count(phase, finding.check, finding.code, action, finding.score)
        for failure in verdict.failures:
            self._count(phase, failure.check, failure.reason, "fail_closed" if failure.closed else "fail_open", 1.0)

    def words(self) -> str:
        """`phase:check:code:action:score:count` for each, separated by spaces; see `store.records.Record.verdicts`."""
        return " ".join(
            f"{':'.join(map(plain, key))}:{score:.2f}:{count}" for key, (score, count) in self._found.items()
        )

    def _count(self, phase: str, check: str, code: str, action: str, score: float) -> None:
        key = (phase, check, code, action)
        if key not in self._found and len(self._found) >= MOST:
            key = (_MORE, _MORE, _MORE, _MORE)
        highest, count = self._found.get(key, (0.0, 0))
        self._found[key] = (max(highest, score), count + 1)


def failed_open(words: str, checks: Container[str]) -> bool:
    """Whether one of these checks let texts pass that it did not judge."""
    return any(
        len(parts) > 3 and (parts[1] == _MORE or (parts[1] in checks and parts[3] == "fail_open"))
        for parts in (word.split(":") for word in words.split())
    )
