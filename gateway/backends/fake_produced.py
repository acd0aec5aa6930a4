"""What the fake server produced for each request: its own count, to hold a gateway's account against.

A token counts at the instant it is produced. Where a stream is cut or its client leaves, the count stops with it: every
token counted was handed to the connection while that was still open, so a client that reads to the end sees them all.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Literal, TypeAlias

import msgspec

KEPT_REQUESTS = 500_000
KEPT_FRAMES: Final = 64
"""Frames of a paced answer whose times are kept: the last ones."""
TIMER_LATE_S: Final = 0.01

End: TypeAlias = Literal["running", "answered", "cut", "failed", "left"]


class Production(msgspec.Struct):
    """One request as the server saw it; `input_tokens` count from its start, before the first token of output.

    `wanted_tokens` is what it would have produced without an end before that, over all choices. Times are of the
    machine's monotonic clock; `ended_s` is 0.0 while it runs. `latest` has the time and the tokens of the last frames
    of a paced stream: so the count at an instant just past can be told, such as that of a hang-up not noticed yet.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    wanted_tokens: int = 0
    ended: End = "running"
    began_s: float = 0.0
    ended_s: float = 0.0
    latest: list[tuple[float, int]] = []  # msgspec copies an empty default for each instance

    def made(self, tokens: int, now_s: float | None) -> None:
        """The next frame of a stream; `now_s` where it is paced."""
        self.output_tokens += tokens
        if now_s is None or not tokens:
            return
        self.latest.append((now_s, tokens))
        if len(self.latest) > KEPT_FRAMES:
            del self.latest[0]

    def after(self, instant_s: float) -> int:
        """Output tokens made later than that, as far as `latest` goes back."""
        return sum(tokens for at_s, tokens in self.latest if at_s > instant_s)


class Pace:
    """The fastest that an answer is produced. Time that was lost to whatever delayed a frame is not made up for, but
    for about as much as a timer is late."""

    def __init__(self, per_s: float, now_s: float) -> None:
        self._per_s = per_s
        self._due_s = now_s

    def wait_s(self, tokens: int, now_s: float) -> float:
        """How long from now on the next tokens take."""
        self._due_s = max(self._due_s, now_s - TIMER_LATE_S) + tokens / self._per_s
        return max(0.0, self._due_s - now_s)


class Produced:
    """The count by request id (the header `x-request-id`); the oldest are dropped beyond `KEPT_REQUESTS` ids.

    An id that came several times (a retry, another attempt) has an entry for each, in order.
    """

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, list[Production]] = OrderedDict()

    def begin(self, request_id: str, now_s: float) -> Production:
        """A new entry; without an id it is counted nowhere."""
        production = Production(began_s=now_s)
        if request_id:
            self._by_id.setdefault(request_id, []).append(production)
            if len(self._by_id) > KEPT_REQUESTS:
                self._by_id.popitem(last=False)
        return production

    def table(self) -> dict[str, list[Production]]:
        """Every entry by request id."""
        return dict(self._by_id)

    def clear(self) -> None:
        """Forgets all that has ended."""
        for request_id, entries in list(self._by_id.items()):
            if all(entry.ended != "running" for entry in entries):
                del self._by_id[request_id]
