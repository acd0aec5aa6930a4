from __future__ import annotations

from typing import Any

import pytest

from gateway.cli.meter_words import meter


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("$50 month", {"cap": "$50", "window": "month"}),
        ("600 requests 60s per=key", {"cap": "600 requests", "window": "60s", "per": "key"}),
        ("40 concurrent", {"cap": "40 concurrent"}),
        (
            "$5 day zone=Europe/Berlin 80%=warn 99.5%=downgrade:small",
            {
                "cap": "$5",
                "window": "day",
                "zone": "Europe/Berlin",
                "at": {"80%": "warn", "99.5%": {"downgrade": "small"}},
            },
        ),
        ('{"cap": "$1", "window": "month"}', {"cap": "$1", "window": "month"}),
    ],
)
def test_a_meter_is_written_in_words(written: str, made: dict[str, Any]) -> None:
    assert meter(written) == made


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("$50 mont", "'mont' is neither a window nor a setting .* did you mean month"),
        ("$50 fortnight", "'fortnight' .* a window is 60s"),
        ("600 requests each minute", "'each' is neither"),
    ],
)
def test_a_word_that_means_nothing_is_named(written: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        meter(written)


@pytest.mark.parametrize("written", ["", "per=key", "{", '{"cap": '])
def test_what_is_no_meter_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"a cap and a window|Expecting"):
        meter(written)
