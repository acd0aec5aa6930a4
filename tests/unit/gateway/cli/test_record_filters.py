from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from gateway.cli import record_filters
from gateway.store.record_query import NEWEST, OLDEST, Query


def asked(*words: str) -> Query:
    found: list[Query] = []

    @click.command()
    @record_filters.filters
    def command(**given: object) -> None:
        found.append(record_filters.query(given, 10))

    result = CliRunner().invoke(command, list(words), catch_exceptions=False)
    if result.exit_code:
        raise click.UsageError(result.output)
    return found[0]


def test_options_become_a_query() -> None:
    assert asked() == Query(limit=10, order=NEWEST)
    found = asked("--since", "2027-01-15", "--min-cost", "0.5", "--min-ms", "3", "--tenant", "acme", "--status", "0")
    assert (found.since_ns, found.min_charge_nanos, found.min_total_ms) == (1_799_971_200 * 10**9, 5 * 10**8, 3.0)
    assert (found.tenant, found.status) == ("acme", 0)
    assert (record_filters.NEWEST, record_filters.OLDEST) == (NEWEST, OLDEST)


def test_a_time_that_is_none_is_the_users_mistake() -> None:
    with pytest.raises(click.UsageError, match="since"):
        asked("--since", "soon")
