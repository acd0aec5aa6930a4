from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.config import archive
from gateway.store.records import Record
from tests.support.gateway import config
from tests.support.journals import a_journal
from tests.unit.gateway.policy.test_replay import MODELS, URLS, answered


def kept(state_dir: Path, *records: Record) -> None:
    """A state directory with these records, and the snapshot of those that name none."""
    digest = archive.write(state_dir, archive.encode(config({"b": URLS}, MODELS)))
    journal = a_journal(state_dir)
    for record in records:
        record.snapshot = record.snapshot or digest
        journal.add(record)
    journal.stop()


def replay(state_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["replay", *arguments, "--state-dir", str(state_dir)])


def test_what_comes_out_again_is_counted(tmp_path: Path) -> None:
    kept(tmp_path, answered(), answered(id="req_2"))
    result = replay(tmp_path, "--since", "2020-01-01")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["charge", "2", "0", "0"] in lines
    assert result.stdout.startswith(f"2 records of {tmp_path}, replayed in ")


def test_a_difference_is_shown_with_both_sides_and_is_an_exit_code(tmp_path: Path) -> None:
    kept(tmp_path, answered(), answered(id="req_2", charge_nanos=1))
    result = replay(tmp_path, "req_2")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-3:] == ["  req_2 charge", "      recorded 1 0", "      derived  37 0"]
    told = json.loads(replay(tmp_path, "req_2", "--json").stdout)
    assert told["differences"] == [{"id": "req_2", "decision": "charge", "recorded": "1 0", "derived": "37 0"}]


def test_a_snapshot_that_is_missing_is_said(tmp_path: Path) -> None:
    kept(tmp_path, answered(snapshot="0" * 64))
    result = replay(tmp_path, "--since", "2020-01-01")
    assert result.exit_code == 1
    assert "Not replayed: 1 records, whose snapshot is missing" in result.stdout


def test_an_id_that_nobody_has_is_said(tmp_path: Path) -> None:
    kept(tmp_path, answered())
    result = replay(tmp_path, "req_1", "req_9")
    assert result.exit_code == 1
    assert "no record of req_9" in result.output


def test_neither_an_id_nor_a_time_is_an_error(tmp_path: Path) -> None:
    kept(tmp_path)
    assert replay(tmp_path).exit_code == 2
    assert replay(tmp_path, "--since", "soon").exit_code == 2
