"""What a chain is worth on texts of which it is known whether there is something in them. Pure."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

_Z: Final = 1.959964
"""Of 95 %, two-sided."""


class Rate(NamedTuple):
    """A share, with the bounds between which it lies at 95 %."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def rate(hits: int, total: int) -> Rate | None:
    """A share of counted things with Wilson's interval; None where nothing was counted."""
    if not total:
        return None
    share, z2 = hits / total, _Z * _Z
    centre = (hits + z2 / 2) / (total + z2)
    reach = _Z / (total + z2) * math.sqrt(total * share * (1 - share) + z2 / 4)
    return Rate(share, max(0.0, centre - reach), min(1.0, centre + reach))


class Confusion(NamedTuple):
    """How many texts there were of each kind."""

    found: int = 0
    """Labelled, and something was found."""
    missed: int = 0
    false_alarms: int = 0
    passed: int = 0
    """Not labelled, and nothing was found."""

    def plus(self, labelled: bool, flagged: bool) -> Confusion:
        """With one text more."""
        return Confusion(
            self.found + (labelled and flagged),
            self.missed + (labelled and not flagged),
            self.false_alarms + (flagged and not labelled),
            self.passed + (not flagged and not labelled),
        )

    @property
    def texts(self) -> int:
        return sum(self)

    @property
    def precision(self) -> Rate | None:
        """Of those where something was found, how many are labelled."""
        return rate(self.found, self.found + self.false_alarms)

    @property
    def recall(self) -> Rate | None:
        """Of those that are labelled, where something was found."""
        return rate(self.found, self.found + self.missed)

    @property
    def false_positive_rate(self) -> Rate | None:
        """Of those that are not labelled, where something was found."""
        return rate(self.false_alarms, self.false_alarms + self.passed)

    @property
    def f1(self) -> Rate | None:
        """The harmonic mean of precision and recall. It is 2J / (1 + J) of a share J, the labelled and found of all
        that are either, and so its bounds are made of those of J."""
        jaccard = rate(self.found, self.found + self.missed + self.false_alarms)
        if jaccard is None:
            return None
        return Rate(*(2 * share / (1 + share) for share in jaccard))
