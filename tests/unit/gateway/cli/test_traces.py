from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main, traces
from gateway.cli.admin_client import Client
from gateway.store import manifest
from gateway.store.span_spool import Spool
from tests.support.administration import administration
from tests.support.agent_spans import SENDER, TRACE, a_span, as_json
from tests.support.journals import STARTED_NS, a_journal, a_record

ALWAYS = ("--since", "2027-01-01")
OTHER = "1" * 32


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    journal = a_journal(tmp_path)
    journal.add(a_record(traceparent=f"00-{TRACE}-{'a' * 16}-01"))
    journal.stop()
    spool = Spool(tmp_path, 0)
    for number, (tenant, trace) in enumerate((("acme", TRACE), ("acme", OTHER), ("bank", OTHER))):
        sender = msgspec.structs.replace(SENDER, tenant=tenant, request=f"req_{number:030x}")
        spool.keep(sender, "json", as_json([a_span("a" * 16, name="trip", trace=trace, start=number)]))
    return tmp_path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["traces", *map(str, words)], catch_exceptions=False)


def test_a_list_is_of_all_tenants_or_of_one(state_dir: Path) -> None:
    done = run("list", *ALWAYS, "--state-dir", state_dir)
    lines = done.output.splitlines()
    assert (done.exit_code, lines[-1]) == (0, f"3 traces in {state_dir}")
    assert max(map(len, lines[:-1])) <= 100
    found = run("list", *ALWAYS, "--state-dir", state_dir, "--tenant", "bank", "--format", "json").output
    (one,) = map(json.loads, found.splitlines())
    assert (one["tenant"], one["trace"], one["name"], one["agent_spans"]) == ("bank", OTHER, "trip", 1)
    assert "there are more" in run("list", *ALWAYS, "--state-dir", state_dir, "--limit", "2").output
    assert run("list", "--since", "2027-06-01", "--state-dir", state_dir).output == f"0 traces in {state_dir}\n"


def test_one_is_drawn_by_its_id_or_a_traceparent(state_dir: Path) -> None:
    for name in (TRACE, TRACE.upper(), f"00-{TRACE}-{'b' * 16}-01"):
        done = run("show", name, "--state-dir", state_dir)
        assert (done.exit_code, "└─ ▸ POST /v1/chat/completions" in done.output) == (0, True)
        assert f"from {state_dir}" in done.output
    found = json.loads(run("show", TRACE, "--state-dir", state_dir, "--format", "json").output)
    assert [span["request"] for span in found["spans"] if span["request"]] == ["req_1"]


def test_where_several_tenants_have_one_says_which(state_dir: Path) -> None:
    done = run("show", OTHER, "--state-dir", state_dir)
    assert (done.exit_code, "--tenant (acme, bank)" in done.output) == (1, True)
    assert f"trace {OTHER} of bank" in run("show", OTHER, "--tenant", "bank", "--state-dir", state_dir).output


def test_what_is_not_there_or_no_id_is_told(state_dir: Path) -> None:
    missing = run("show", "2" * 32, "--state-dir", state_dir)
    assert (missing.exit_code, "there is no trace" in missing.output) == (1, True)
    wrong = run("show", "req_1", "--state-dir", state_dir)
    assert (wrong.exit_code, "32 hexadecimal digits" in wrong.output) == (2, True)
    (manifest.folder(state_dir)).mkdir(exist_ok=True)
    (manifest.folder(state_dir) / "manifest.json").write_text("?")
    broken = run("show", TRACE, "--state-dir", state_dir)
    assert (broken.exit_code, "manifest.json cannot be read" in broken.output) == (1, True)


def test_over_a_listener_the_same_is_shown(state_dir: Path) -> None:
    asked: list[str] = []

    class Over:
        """A listener, called in this process."""

        where = "http://control"

        def send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
            asked.append(target)
            answer = asyncio.run(self._asked(method, target.removeprefix("/admin")))
            return answer.status, json.dumps(answer.json).encode()

        async def _asked(self, method: str, target: str) -> Any:
            async with administration(state_dir) as admin:
                return await admin.ask(method, target)

    there = Client(Over())
    items, more = traces._items(there, STARTED_NS, None, "", 2)
    here = run("list", *ALWAYS, "--state-dir", state_dir, "--limit", "2", "--format", "json").output
    assert (items, more) == ([json.loads(line) for line in here.splitlines()], True)
    assert "since=2027-01-15T08%3A00%3A00%2B00%3A00" in asked[0]
    shown = run("show", OTHER, "--tenant", "bank", "--state-dir", state_dir, "--format", "json").output
    assert traces._found(there, OTHER, "bank") == json.loads(shown)
