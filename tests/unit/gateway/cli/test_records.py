from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main, records
from gateway.cli.admin_client import Client
from gateway.store import manifest
from tests.support.administration import administration
from tests.support.contents import TEXT, a_content, a_content_journal, a_state_dir
from tests.support.journals import STARTED_NS, a_journal, a_record
from tests.support.ledgers import update

LONG = f"req_{STARTED_NS // 10**6:012x}" + "5f3a9c1e7700000{:03d}"


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    journal = a_journal(tmp_path)
    for number in range(4):
        if number == 2:
            update(tmp_path)
        journal.add(
            a_record(
                LONG.format(number),
                started_ns=STARTED_NS + number * 20_000 * 10**9,
                tenant="a-tenant-with-a-long-name",
                charge_nanos=number * 10**6,
                total_ms=10.0 + 20_000 * number,
                verdicts="input:pii:EMAIL_ADDRESS:mask:1.00:2" if number == 1 else "",
                readings=[("tenant:acme|usd", 1, 2)],
            )
        )
    journal.stop()
    return tmp_path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["records", *map(str, words)], catch_exceptions=False)


def test_a_list_has_the_newest_first_under_their_days_and_fits_100_columns(state_dir: Path) -> None:
    done = run("list", "--state-dir", state_dir)
    lines = done.output.splitlines()
    assert done.exit_code == 0
    assert [line for line in lines if line.startswith("2027")] == ["2027-01-16", "2027-01-15"]
    assert [line.split()[1] for line in lines if "req_" in line] == [LONG.format(number) for number in (3, 2, 1, 0)]
    assert max(map(len, lines)) <= 100
    assert lines[-1] == f"4 requests in {state_dir}"


def test_a_list_takes_filters_and_says_when_there_are_more(state_dir: Path) -> None:
    def ids(*words: str) -> list[str]:
        done = run("list", "--state-dir", state_dir, "--format", "json", *words)
        return [json.loads(line)["id"][-1] for line in done.output.splitlines()]

    assert ids("--verdict", "mask") == ["1"]
    assert ids("--min-cost", "0.002") == ["3", "2"]
    assert ids("--min-ms", "60000") == ["3"]
    assert ids("--since", "2027-01-16") == ["3"]
    assert ids("--until", "2027-01-16", "--tenant", "a-tenant-with-a-long-name") == ["2", "1", "0"]
    assert ids("--tenant", "other") == []
    assert ids("--limit", "2") == ["3", "2"]
    assert "there are more" in run("list", "--state-dir", state_dir, "--limit", "2").output
    assert run("list", "--state-dir", state_dir, "--tenant", "other").output == f"0 requests in {state_dir}\n"


def test_one_is_shown_with_its_attempts_in_100_columns(state_dir: Path) -> None:
    done = run("show", LONG.format(1), "--state-dir", state_dir)
    assert "200 ok, answered" in done.output
    assert "gpu-a http://vllm-0:8000; first, least_outstanding; 200 ok" in done.output
    assert "tenant:acme|usd: 1 used before, of 2" in done.output
    assert max(map(len, done.output.splitlines()[:-1])) <= 100
    assert json.loads(run("show", LONG.format(1), "--state-dir", state_dir, "--format", "json").output)["status"] == 200
    missing = run("show", "req_9", "--state-dir", state_dir)
    assert (missing.exit_code, "there is no record of req_9" in missing.output) == (1, True)


def test_what_cannot_be_read_is_a_message(state_dir: Path) -> None:
    (manifest.folder(state_dir) / "manifest.json").write_text("?")
    done = run("list", "--state-dir", state_dir)
    assert (done.exit_code, "manifest.json cannot be read" in done.output) == (1, True)


def test_an_export_to_parquet_needs_a_file(state_dir: Path) -> None:
    done = run("export", "--state-dir", state_dir, "--format", "parquet")
    assert (done.exit_code, "needs --output" in done.output) == (2, True)
    out = state_dir / "out.csv"
    assert "4 requests from" in run("export", "--state-dir", state_dir, "--output", out).output
    assert len(out.read_text().splitlines()) == 5


def test_over_a_listener_the_pages_are_joined_and_the_filters_are_its_own(tmp_path: Path) -> None:
    asked: list[str] = []

    class Over:
        """A listener, called in this process."""

        where = "http://control"

        def send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
            asked.append(target)
            answer = asyncio.run(self._asked(method, target.removeprefix("/admin")))
            return answer.status, json.dumps(answer.json).encode()

        async def _asked(self, method: str, target: str) -> Any:
            async with administration(tmp_path) as admin:
                return await admin.ask(method, target)

    journal = a_journal(tmp_path)
    for number in range(3):
        journal.add(a_record(f"req_{number}", started_ns=STARTED_NS + number, charge_nanos=10**9))
    journal.stop()
    nothing: dict[str, Any] = dict.fromkeys(("tenant", "trace", "min_cost", "min_ms", "since", "until"))
    found = list(records._items(Client(Over()), nothing | {"min_cost": 1.0, "since": STARTED_NS - 10**9}, 2))
    assert [item["id"] for item in found] == ["req_2", "req_1"]
    assert "min_cost_usd=1.0&since=2027-01-15T07%3A59%3A59%2B00%3A00" in asked[0]
    assert list(records._items(Client(Over()), nothing | {"tenant": "other"}, 2)) == []


def test_what_was_said_is_shown_where_it_is_kept(state_dir: Path) -> None:
    journal = a_content_journal(a_state_dir(state_dir))
    journal.keep(a_content(LONG.format(1)))
    journal.stop()
    assert TEXT.decode() not in run("show", LONG.format(1), "--state-dir", state_dir).output
    done = run("show", LONG.format(1), "--content", "--state-dir", state_dir)
    assert f"  {TEXT.decode()}" in done.output.splitlines()
    as_json = json.loads(run("show", LONG.format(1), "--content", "--format", "json", "--state-dir", state_dir).output)
    assert as_json["content"]["request"] == {"body": TEXT.decode(), "bytes": len(TEXT), "cut": False}
    assert "is not kept" in run("show", LONG.format(2), "--content", "--state-dir", state_dir).output
