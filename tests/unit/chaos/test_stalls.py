"""What a count of waiting says of a time."""

from __future__ import annotations

import pytest

from tests.chaos.stalls import waited_s

SAMPLES = [(1.0, 5.0), (1.1, 5.0), (1.2, 5.08), (1.3, 5.09), (1.4, 5.5)]


@pytest.mark.parametrize(
    ("began_s", "ended_s", "waited"),
    [
        (1.0, 1.1, 0.0),
        (1.15, 1.25, 0.09),  # by the samples around it: rather more than less
        (1.1, 1.2, 0.08),
        (0.5, 1.15, 0.08),
        (1.35, 9.0, 0.41),
        (2.0, 3.0, 0.0),
        (1.3, 1.2, 0.0),
    ],
)
def test_it_is_by_how_much_the_count_grew(began_s: float, ended_s: float, waited: float) -> None:
    assert waited_s(SAMPLES, began_s, ended_s) == pytest.approx(waited)


def test_where_nothing_is_counted_nobody_waited() -> None:
    assert waited_s([], 1.0, 2.0) == 0.0
