"""The little arithmetic behind the numbers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def ratio_of_medians(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """median(ours) / median(theirs): one disturbed round on either side does not move it."""
    return median(ours) / median(theirs)


def spread(values: Sequence[float]) -> dict[str, object]:
    """Median and every round, to be kept in the results file so that a reader sees the noise."""
    return {"median": round(median(values), 4), "rounds": [round(value, 4) for value in values]}
