from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.trajectories import trajectories
from gateway.policy.conversation import names_of
from gateway.store.content import Said
from tests.support.contents import a_content, a_content_journal, a_state_dir
from tests.support.journals import STARTED_NS, a_journal, a_record

USER = {"role": "user", "content": "Weather in Oslo?"}
SINCE = ("--since", "2027-01-01")
NAMES = ("a" * 32, "b" * 32)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """Two conversations of two calls each; of the first one's first call it is kept what was said."""
    journal, contents = a_journal(tmp_path), a_content_journal(a_state_dir(tmp_path))
    for number in range(4):
        started_ns = STARTED_NS + number * 10**9
        record = a_record(f"req_{number}", started_ns=started_ns, conversation=NAMES[number // 2], charge_nanos=10**6)
        journal.add(record)
    asked = json.dumps({"model": "m", "messages": [USER]}).encode()
    said = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Cold."}}]}).encode()
    contents.keep(a_content("req_0", request=Said(asked, len(asked)), answer=Said(said, len(said))))
    contents.stop()
    journal.stop()
    return tmp_path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(trajectories, [*map(str, words)], catch_exceptions=False)


def test_a_list_has_the_newest_first(state_dir: Path) -> None:
    done = run("list", "--state-dir", state_dir, *SINCE)
    lines = done.output.splitlines()
    assert [line.split()[2] for line in lines if line.startswith("01-15")] == [NAMES[1], NAMES[0]]
    assert lines[-1] == f"2 trajectories in {state_dir}"
    assert max(map(len, lines)) <= 100
    one = run("list", "--state-dir", state_dir, *SINCE, "--limit", "1", "--format", "json")
    (item,) = map(json.loads, one.output.splitlines())
    assert (item["id"], len(item["steps"]), "messages" in item) == (NAMES[1], 2, False)
    assert run("list", "--state-dir", state_dir, *SINCE, "--tenant", "other").output.startswith("0 trajectories")


def test_one_is_shown_with_what_was_kept_of_it(state_dir: Path) -> None:
    lines = run("show", NAMES[0], "--state-dir", state_dir).output.splitlines()
    assert "    user       Weather in Oslo?" in lines
    assert "    assistant  Cold." in lines
    assert "    content    not kept" in lines
    assert json.loads(run("show", NAMES[0], "--format", "json", "--state-dir", state_dir).output)["content"] == "some"


@pytest.mark.parametrize("wrong", ["x", NAMES[0] + ":2", NAMES[0] + ":0", NAMES[0] + ":x"])
def test_one_that_is_not_there_is_told(state_dir: Path, wrong: str) -> None:
    done = run("show", wrong, "--state-dir", state_dir)
    assert done.exit_code == 1
    assert f"there is no trajectory {wrong}" in done.output


def test_all_are_exported_by_their_beginnings(state_dir: Path, tmp_path: Path) -> None:
    done = run("export", "--state-dir", state_dir, *SINCE, "--output", tmp_path / "out.jsonl")
    assert "2 trajectories" in done.output
    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert (first["id"], second["id"]) == NAMES
    assert first["messages"] == [USER, {"role": "assistant", "content": "Cold."}]
    assert (second["content"], second["messages"]) == ("none", [])


def test_one_is_found_by_the_id_that_its_caller_gave_it(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    for number, name in enumerate((*names_of("acme", "run 7:2"), names_of("other", "run 8")[0])):
        journal.add(a_record(f"req_{number}", tenant="other" if number == 2 else "acme", conversation=name))
    journal.stop()
    shown = run("show", "run 7:2", "--tenant", "acme", "--state-dir", tmp_path)
    assert "req_0" in shown.output
    assert f"2 open alike: {names_of('acme', 'run 7:2')[1]}" in shown.output
    assert run("show", "run 8", "--tenant", "acme", "--state-dir", tmp_path).exit_code == 1
    assert run("show", "run 8", "--tenant", "other", "--state-dir", tmp_path).exit_code == 0
