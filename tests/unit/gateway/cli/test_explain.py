from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from gateway.cli import main
from tests.unit.gateway.cli.test_replay import kept
from tests.unit.gateway.policy.test_replay import answered


def explain(state_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments, "--state-dir", str(state_dir)])


def test_a_request_is_explained_in_lines_that_fit(tmp_path: Path) -> None:
    kept(tmp_path, answered(end_user="u" * 90))
    result = explain(tmp_path, "req_1")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("req_1, 2027-01-15 08:00:00 UTC, snapshot ")
    assert max(map(len, lines)) <= 100
    assert "  model       m was asked for; should m fail: n" in lines
    assert "              = $0.000000037" in lines


def test_the_steps_are_json_too(tmp_path: Path) -> None:
    kept(tmp_path, answered())
    told = json.loads(explain(tmp_path, "req_1", "--json").stdout)
    assert {"name": "who", "lines": ["tenant acme, key app"]} in told["steps"]


def test_a_snapshot_that_is_missing_is_said(tmp_path: Path) -> None:
    kept(tmp_path, answered(snapshot="0" * 64))
    result = explain(tmp_path, "req_1")
    assert result.exit_code == 0
    assert "cannot read this snapshot" in " ".join(result.stdout.split())


def test_before_the_fact_the_newest_snapshot_decides(tmp_path: Path) -> None:
    kept(tmp_path, answered())
    result = explain(tmp_path, "--as", "acme/app", "--model", "m")
    assert result.exit_code == 0, result.output
    assert "nothing is sent" in result.stdout
    body = tmp_path / "body.json"
    body.write_text('{"model": "n", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}')
    assert (
        "  model       n: backend b, which calls it other"
        in explain(tmp_path, "--as", "acme/app", "--body", str(body)).stdout.splitlines()
    )
    body.write_text("no")
    assert "not JSON" in explain(tmp_path, "--as", "acme/app", "--body", str(body)).output


def test_what_is_asked_for_must_be_clear(tmp_path: Path) -> None:
    kept(tmp_path, answered())
    assert explain(tmp_path).exit_code == 2
    assert explain(tmp_path, "req_1", "--as", "acme/app").exit_code == 2
    assert explain(tmp_path, "req_1", "--model", "m").exit_code == 2
    assert explain(tmp_path, "--as", "acme/app").exit_code == 2
    assert explain(tmp_path, "req_9").exit_code == 1
