from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.journal import journal
from gateway.store.layout import RECOVERY
from gateway.store.records import Attempt, Record
from tests.support.journals import STARTED_NS, a_journal, a_record, dead_copy, fill, opened, recovered


def run(*arguments: object) -> Result:
    return CliRunner().invoke(journal, [str(argument) for argument in arguments])


def counts(result: Result) -> dict[str, int]:
    pairs = (line.split() for line in result.stdout.splitlines())
    return {name: int(count) for name, count in pairs}


def test_records_are_shown_newest_last_whichever_worker_wrote_them(tmp_path: Path) -> None:
    for slot in (0, 1):
        writer = a_journal(tmp_path, slot=slot)
        for number in range(3):
            request = f"req_{slot}{number}"
            writer.add(a_record(request, started_ns=STARTED_NS + 10 * number + slot, tenant=f"t{slot}"))
        writer.stop()
    shown = [json.loads(line) for line in run("show", "--state-dir", tmp_path, "--limit", 4).stdout.splitlines()]
    assert [record["id"] for record in shown] == ["req_01", "req_11", "req_02", "req_12"]
    assert shown[0]["attempts"][0]["endpoint"] == "http://vllm-0:8000"
    shown = [json.loads(line) for line in run("show", "--state-dir", tmp_path, "--tenant", "t1").stdout.splitlines()]
    assert [record["id"] for record in shown] == ["req_10", "req_11", "req_12"]


def test_a_complete_journal_verifies_while_it_is_written(tmp_path: Path) -> None:
    writer = a_journal(tmp_path)
    writer.open(opened("req_1"))
    writer.close(a_record("req_1"))
    writer.open(opened("req_2"))
    result = run("verify", "--state-dir", tmp_path)
    assert result.exit_code == 0
    found = counts(result)
    assert (found["opened"], found["closed"], found["running"], found["gap"]) == (2, 1, 1, 0)
    writer.stop()


def test_what_a_dead_worker_left_open_is_a_gap_until_it_is_recovered(tmp_path: Path) -> None:
    writer = a_journal(tmp_path / "elsewhere")
    writer.open(opened("req_1"))
    directory = dead_copy(writer, tmp_path)
    writer.stop()
    result = run("verify", "--state-dir", tmp_path)
    assert (result.exit_code, counts(result)["gap"]) == (1, 1)
    assert "not complete" in result.stderr
    assert not (directory / RECOVERY).exists()
    recovered(directory)
    result = run("verify", "--state-dir", tmp_path)
    assert (result.exit_code, counts(result)["gap"], counts(result)["recovered"]) == (0, 0, 1)


def test_damage_fails_the_verification(tmp_path: Path) -> None:
    writer = a_journal(tmp_path)
    writer.add(a_record("req_1"))
    writer.add(a_record("req_2"))
    writer.stop()
    with (writer.directory / "000001.seg").open("r+b") as file:
        file.seek(60)
        file.write(b"\xff")
    result = run("verify", "--state-dir", tmp_path)
    assert (result.exit_code, counts(result)["damaged"], counts(result)["closed"]) == (1, 1, 1)


def test_segments_that_retention_dropped_are_no_fault(tmp_path: Path) -> None:
    writer = a_journal(tmp_path)
    writer.open(opened("req_first"))
    fill(writer)
    writer.close(a_record("req_first"))
    writer.stop()
    (writer.directory / "000001.seg").unlink()
    assert run("verify", "--state-dir", tmp_path).exit_code == 0


def test_what_is_not_known_of_a_request_is_not_shown(tmp_path: Path) -> None:
    writer = a_journal(tmp_path)
    writer.add(Record("req_1", STARTED_NS, code="invalid_api_key", outcome="refused", status=401, output_tokens=0))
    writer.add(Record("req_2", STARTED_NS + 1, outcome="cancelled", attempts=[Attempt("gpu-a", "http://h:1")]))
    writer.stop()
    first, second = (json.loads(line) for line in run("show", "--state-dir", tmp_path).stdout.splitlines())
    assert first == {
        "id": "req_1",
        "started_ns": STARTED_NS,
        "stream": False,
        "attempts": [],
        "output_tokens": 0,
        "status": 401,
        "code": "invalid_api_key",
        "outcome": "refused",
        "body_bytes": 0,
        "answer_bytes": 0,
    }
    assert second["attempts"] == [{"backend": "gpu-a", "endpoint": "http://h:1"}]
    assert "status" not in second


@pytest.mark.parametrize("command", ["show", "verify"])
@pytest.mark.parametrize("folder", [".", "nowhere"])
def test_a_place_without_journals_is_said_so_with_where_the_demo_has_them(
    tmp_path: Path, command: str, folder: str
) -> None:
    result = run(command, "--state-dir", tmp_path / folder)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"no journals in {tmp_path / folder}" in result.stderr
    assert "state/demo" in result.stderr


def test_the_list_of_its_commands_cuts_no_line() -> None:
    assert "..." not in run("--help").output.partition("Commands:")[2]
