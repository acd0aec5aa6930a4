from __future__ import annotations

import pytest

from gateway.control.failures import FORGOTTEN_S, FREE, MOST_S, MOST_SOURCES, Failures, source_of


def test_a_few_wrong_tokens_are_free_and_then_each_doubles_the_wait() -> None:
    failures, waits = Failures(), []
    for _ in range(FREE + 7):
        failures.failed("a", 100.0)
        waits.append(failures.wait_s("a", 100.0))
    assert waits == [0.0] * (FREE - 1) + [1.0, 2.0, 4.0, 8.0, 16.0, MOST_S, MOST_S, MOST_S]
    assert failures.wait_s("a", 100.0 + MOST_S) == 0.0
    assert failures.wait_s("b", 100.0) == 0.0


def test_a_source_begins_anew_after_a_long_silence() -> None:
    failures = Failures()
    for _ in range(FREE):
        failures.failed("a", 0.0)
    assert failures.failed("a", FORGOTTEN_S + 1) == 1


def test_what_is_kept_of_sources_is_bounded() -> None:
    failures = Failures()
    for number in range(MOST_SOURCES + 1):
        for _ in range(FREE):
            failures.failed(str(number), 0.0)
    assert failures.wait_s("0", 0.0) == 0.0
    assert failures.wait_s("1", 0.0) == 1.0


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_one_customer_is_one_source(host: str, source: str) -> None:
    assert source_of(host) == source
