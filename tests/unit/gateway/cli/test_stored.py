from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from gateway.cli import stored
from gateway.store.manifest import LedgerUnreadable
from gateway.store.record_rows import SchemaTooNew


@click.command()
@click.option("--since", callback=stored.moment)
def asking(since: int | None) -> None:
    click.echo(f"{since} {stored.written(since)}")


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ([], "None None"),
        (["--since", "2027-01-15"], "1799971200000000000 2027-01-15T00:00:00+00:00"),
    ],
)
def test_a_time_is_a_moment_and_is_written_for_the_api(given: list[str], printed: str) -> None:
    assert CliRunner().invoke(asking, given).output == f"{printed}\n"


def test_what_is_no_time_is_told() -> None:
    done = CliRunner().invoke(asking, ["--since", "soon"])
    assert (done.exit_code, "soon" in done.output) == (2, True)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (LedgerUnreadable("no manifest"), "no manifest"),
        (SchemaTooNew("version 9"), "version 9"),
        (OSError("no disk"), "no disk"),
        (ImportError("no duckdb"), "traces cannot be read here: no duckdb"),
    ],
)
def test_what_is_wrong_with_tables_is_a_message(error: Exception, message: str) -> None:
    with pytest.raises(click.ClickException) as raised, stored.reading("traces"):
        raise error
    assert raised.value.message == message
