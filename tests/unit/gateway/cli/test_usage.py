from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.usage import usage
from gateway.store.usage_query import SUMS
from tests.support.journals import STARTED_NS, a_journal, a_record
from tests.support.ledgers import update


def run(*arguments: object) -> Result:
    return CliRunner().invoke(usage, [str(argument) for argument in arguments])


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_1", charge_nanos=1_500_000_000, traceparent="00-" + "ab" * 16 + "-" + "1" * 16 + "-01"))
    update(tmp_path)
    journal.add(a_record("req_2", tenant="umbrella", charge_nanos=1, end_user="u-7", project="support"))
    journal.add(a_record("req_3", tenant="umbrella", started_ns=STARTED_NS + 86_400 * 10**9))
    journal.stop()
    return tmp_path


def test_a_table_says_who_used_what_and_what_it_cost(state_dir: Path) -> None:
    lines = run("--state-dir", state_dir).stdout.splitlines()
    assert lines[0] == f"Usage since the beginning, from {state_dir}"
    assert lines[4].split() == ["acme", "small", "1", "12", "34", "$1.500000000"]
    assert lines[-1].split() == ["total", "3", "36", "102", "$1.500000001"]


def test_csv_and_json_have_every_column_and_no_rounding(state_dir: Path) -> None:
    told = run("--state-dir", state_dir, "--by", "tenant", "--window", "day", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(told)))
    assert list(rows[0]) == ["day", "tenant", *SUMS]
    assert [(row["day"], row["tenant"], row["requests"], row["cost_usd"]) for row in rows] == [
        ("2027-01-15", "acme", "1", "1.500000000"),
        ("2027-01-15", "umbrella", "1", "0.000000001"),
        ("2027-01-16", "umbrella", "1", "0.000000000"),
    ]
    told = run("--state-dir", state_dir, "--by", "tenant", "--window", "day", "--format", "json").stdout
    assert [json.loads(line)["cost_usd"] for line in told.splitlines()] == ["1.500000000", "0.000000001", "0.000000000"]
    assert json.loads(told.splitlines()[0])["requests"] == 1


def test_a_window_may_be_named_among_the_columns(state_dir: Path) -> None:
    told = [
        run("--state-dir", state_dir, "--by", by, *window, "--format", "csv").stdout
        for by, window in (("day,tenant", ()), ("tenant", ("--window", "day")), ("tenant,day", ("--window", "day")))
    ]
    assert told[0] == told[1] == told[2]
    assert told[0].startswith("day,tenant,requests")


def test_filters_and_times(state_dir: Path) -> None:
    def requests(*arguments: str) -> int:
        told = run("--state-dir", state_dir, "--by", "total", "--format", "json", *arguments).stdout
        return int(json.loads(told)["requests"])

    assert requests() == 3
    assert requests("--tenant", "umbrella") == 2
    assert requests("--end-user", "u-7") == requests("--project", "support") == requests("--trace", "ab" * 16) == 1
    assert requests("--key", "app", "--model", "small", "--tenant", "acme") == 1
    assert requests("--since", "2027-01-16") == 1
    assert requests("--until", "2027-01-15T09:00", "--zone", "Europe/Berlin") == 0


def test_nothing_is_said_to_be_nothing(state_dir: Path) -> None:
    told = run("--state-dir", state_dir, "--tenant", "nobody", "--since", "2027-01-01").stdout
    assert told == f"No requests since 2027-01-01 00:00 (UTC) in {state_dir}.\n"
    assert run("--state-dir", state_dir, "--tenant", "nobody", "--by", "total").stdout.startswith("No requests")


def test_without_prices_the_table_says_why_there_are_no_costs(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record())
    journal.stop()
    assert "no model that answered has a price" in run("--state-dir", tmp_path).stdout


def test_files_are_written(state_dir: Path) -> None:
    path = state_dir / "usage.csv"
    assert run("--state-dir", state_dir, "--format", "csv", "--output", path).stdout == ""
    assert path.read_text().startswith("tenant,model,requests")
    result = run("--state-dir", state_dir, "--format", "parquet", "--output", state_dir / "usage.parquet")
    assert result.stderr == f"2 rows in {state_dir / 'usage.parquet'}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--by", "colour"), "'colour' is none of tenant, project"),
        (("--by", "tenant,tenant"), "twice"),
        (("--by", "day,week"), "only one window"),
        (("--by", "day", "--window", "week"), "only one window"),
        (("--since", "soon"), "'soon' is no time"),
        (("--zone", "Mars/Olympus"), "'Mars/Olympus' is no time zone"),
        (("--format", "parquet"), "--format parquet needs --output"),
    ],
)
def test_mistakes_are_told_with_what_is_right(state_dir: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("--state-dir", state_dir, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_ledger_that_cannot_be_read_is_a_message(state_dir: Path) -> None:
    (state_dir / "ledger" / "manifest.json").write_text("?")
    result = run("--state-dir", state_dir)
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr
