"""A screen with somebody who meets its needs: for callers that can wait, such as commands and evaluations. The gateway,
which cannot, asks for all texts of a request at once (`gateway.dataplane`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from guardrails.screen import Call, Screen


class Unmet(Exception):
    """A need that nobody met; `reason` is that of a `Failure`: late, unavailable."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: Final = reason


Perform: TypeAlias = Callable[[Call], object]
"""Meets a need. Raises `Unmet`."""


class Running:
    """A screen whose needs are met as they come up: a `jsontext.Stage`."""

    __slots__ = ("_perform", "screen")

    def __init__(self, screen: Screen, perform: Perform) -> None:
        self.screen: Final = screen
        self._perform: Final = perform

    def feed(self, text: str) -> str:
        """What may be delivered after these characters."""
        return self.screen.feed(text) + self._answered()

    def finish(self) -> str:
        """The rest of what may be delivered."""
        return self.screen.finish() + self._answered()

    def _answered(self) -> str:
        out: list[str] = []
        while not self.screen.blocked and (calls := self.screen.calls()):
            for call in calls:
                try:
                    value = self._perform(call)
                except Unmet as error:
                    out.append(self.screen.fail(call, error.reason))
                else:
                    out.append(self.screen.answer(call, value))
        return "".join(out)


def run(screen: Screen, pieces: Iterable[str], perform: Perform) -> list[str]:
    """What leaves after each of the pieces that a text comes in, and after its end."""
    running = Running(screen, perform)
    return [*map(running.feed, pieces), running.finish()]
