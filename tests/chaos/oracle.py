"""The oracle of false refusals: a serial meter that replays what the workers decided, in the order they decided it.

It holds what they held and settles what they settled; where they refused it says whether it would have. Only refusals
while more than 5 % of every cap concerned is left (of concurrency also at least 16 slots) count: near its end a budget
is cut into slices that are too small for what is asked. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.store.records import Record
from tests.chaos.evidence import Event, bucket_of, spent
from tests.chaos.plan import Cap

NEAR_PERCENT = 5
NEAR_SLOTS = 16


@dataclass
class Serial:
    """One bucket as one meter without workers, leases and slices would have it."""

    cap: Cap
    settled: int = 0
    held: dict[str, int] = field(default_factory=dict)
    spends: list[tuple[float, int]] = field(default_factory=list)  # of a rolling window
    holding: int = 0

    def hold(self, request: str, amount: int) -> None:
        self.holding += amount - self.held.get(request, 0)
        self.held[request] = amount

    def settle(self, request: str, amount: int, at_s: float) -> None:
        self.holding -= self.held.pop(request, 0)
        if self.cap.seconds:
            self.spends.append((at_s, amount))
        else:
            self.settled += amount

    def room(self, now_s: float) -> int:
        """What could be held now. A rolling window counts in slots, as the authority's does."""
        used = self.settled
        if self.cap.seconds:
            slot_s = -(-self.cap.seconds // 60)
            oldest = (int(now_s) - self.cap.seconds) // slot_s
            self.spends = [each for each in self.spends if int(each[0]) // slot_s >= oldest]
            used = sum(amount for _, amount in self.spends)
        return self.cap.amount - used - self.holding


@dataclass
class Judged:
    """What the oracle found: decisions it judged, and those refusals that it would not have made."""

    decisions: int = 0
    refusals: int = 0
    false: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        return len(self.false) / self.decisions if self.decisions else 0.0


def judge(events: Sequence[Event], caps: Sequence[Cap]) -> Judged:
    """Replays `events` (in the order of decisions)."""
    buckets: dict[tuple[int, str], Serial] = {}
    judged = Judged()
    seen: set[str] = set()

    def of(record: Record) -> list[Serial]:
        found = []
        for index, cap in enumerate(caps):
            name = bucket_of(cap, record)
            if name is not None:
                found.append(buckets.setdefault((index, name), Serial(cap)))
        return found

    for event in events:
        meters = of(event.record)
        if event.what == "settle":
            for meter in meters:
                if meter.cap.quantity != "requests":
                    meter.settle(event.id, spent(event.record, meter.cap.quantity), event.at_s)
            continue
        first = event.id not in seen
        seen.add(event.id)
        if event.what == "refuse":
            needs = [(meter, _need(meter.cap, event)) for meter in meters]
            if all(_far(meter, event.at_s) for meter, _ in needs):
                judged.decisions += 1
                judged.refusals += 1
                if all(meter.room(event.at_s) >= need for meter, need in needs):
                    told = ", ".join(
                        f"{meter.room(event.at_s)} of {meter.cap.quantity} for {need}" for meter, need in needs
                    )
                    judged.false.append(f"{event.id} ({event.record.action}): {told}")
            continue
        if first and all(_far(meter, event.at_s) for meter in meters):
            judged.decisions += 1
        for meter in meters:
            if meter.cap.quantity == "requests":
                if first:
                    meter.settle(event.id, 1, event.at_s)
            else:
                meter.hold(event.id, _need(meter.cap, event))
    return judged


def _need(cap: Cap, event: Event) -> int:
    held_input, held_output, held_nanos = event.held
    return {
        "requests": 1,
        "concurrent": 1,
        "input_tokens": held_input,
        "output_tokens": held_output,
        "usd": held_nanos,
    }[cap.quantity]


def _far(meter: Serial, now_s: float) -> bool:
    room = meter.room(now_s)
    if meter.cap.quantity == "concurrent" and room < NEAR_SLOTS:
        return False
    return room * 100 > meter.cap.amount * NEAR_PERCENT
