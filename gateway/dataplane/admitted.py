"""A request as the meters see it: what `Recording` is to admission, to settling, and to what a caller is told."""

from __future__ import annotations

from gateway.dataplane.leasing import Leasing
from gateway.policy.identity import Headers
from gateway.policy.leases import NOTHING, Bundle, Hold
from gateway.policy.terms import Terms
from gateway.store.request_row import RequestRow


class Admitted:
    """`hold` is None until the request is let in, and where no meter counts it; `terms` and `running` are set with
    it.
    """

    __slots__ = ("headers", "hold", "judge_held", "row", "running", "terms")

    terms: Terms
    """On what terms it was let in."""
    running: bool
    """Its stream is metered while it runs."""

    def __init__(self, row: RequestRow, headers: Headers) -> None:
        self.row = row
        self.headers = headers
        self.hold: Hold | None = None
        """What it holds of its meters."""
        self.judge_held = 0
        """The part of the money it holds that is for models that judge its texts; not in `row.held_nanos` before the
        end."""

    def header(self, name: bytes) -> bytes | None:
        """A header of the request."""
        return self.headers.get(name)

    def acted(self, word: str) -> None:
        """Notes what a meter did."""
        row = self.row
        row.action = f"{row.action} {word}" if row.action else word

    def decided_by(self, terms: Terms) -> None:
        """Notes what was used of meters with thresholds, where any is crossed."""
        if terms.marks and terms.crossed:
            readings = self.row.readings
            now = [(bucket.key, bucket.used, bucket.cap) for bucket, _ in terms.marks]
            readings.extend([each for each in now if each not in readings])

    def let_go(self, leasing: Leasing) -> Bundle:
        """Holds nothing more: the request may need other amounts of the same meters. That it is one stays counted."""
        row, hold = self.row, self.hold
        assert hold is not None
        leasing.settle(hold, NOTHING)
        self.hold = Hold(hold.bundle, NOTHING)
        row.held_input = row.held_output = row.held_nanos = 0
        return hold.bundle
