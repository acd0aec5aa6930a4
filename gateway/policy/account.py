"""A bucket in one place: what a store keeps of it and what running requests hold, where there is only one owner. Pure.

For simulations. The bucket itself, its windows and warnings are those of `authority`.
"""

from __future__ import annotations

from typing import Final

from gateway.config.snapshot_meters import Meter
from gateway.policy.authority import BucketState, Report, exchange

_OWNER: Final = "simulation"


class Account:
    """One bucket: what is spent in its window, as the stores keep it, and what running requests hold."""

    __slots__ = ("_at_s", "_used", "held", "meter", "state", "total")

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.state = BucketState(window_s=meter.window.seconds, slot_s=meter.window.slot_s)
        self.held = 0
        self.total = 0
        self._at_s = -1
        self._used = 0

    def used(self, now_s: int) -> int:
        """What is spent or held."""
        if now_s != self._at_s:
            self._at_s, self._used = now_s, self.state.used(now_s)
        return self._used + self.held

    def remaining(self, now_s: int) -> int:
        """What may still be held."""
        return self.meter.cap - self.used(now_s)

    def spend(self, key: str, amount: int, now_s: int) -> int:
        """Spends; returns the amount of a warning that was crossed, or 0."""
        window = self.meter.window
        self.total += amount
        self._at_s = -1
        report = Report(
            key=key,
            cap=self.meter.cap,
            window_s=window.seconds,
            slot_s=window.slot_s,
            granted=self.total,
            spent=self.total,
            spends=((now_s // window.slot_s if window.slot_s else 0, amount),),
            warn_at=tuple([each.amount for each in self.meter.at if each.action == "warn"]),
        )
        return exchange(self.state, _OWNER, report, now_s).crossed
