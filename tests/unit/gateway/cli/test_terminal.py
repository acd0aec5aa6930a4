"""What callers name, and agents say, does nothing to the terminal of who reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.terminal import visible
from gateway.store.span_spool import Spool
from tests.support.agent_spans import SENDER, TRACE, a_span, as_json
from tests.support.journals import a_journal, a_record, opened

EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\r\n\x7fend"
"""Clears, renames and colours a terminal, turns what follows around, and begins a line."""
BAD = frozenset("\x1b\x07\x9b\u202e\r\x7f")


def test_what_can_be_seen_stays() -> None:
    assert visible("plain, ünï → 你好 │") == "plain, ünï → 你好 │"
    assert visible("a\nb\tc\x1b", keeps="\n") == "a\nb\ufffdc\ufffd"


@pytest.mark.parametrize(
    "command",
    [
        ("records", "list"),
        ("records", "show", "req_1"),
        ("records", "export", "--format", "json"),
        ("explain", "req_1"),
        ("explain", "req_1", "--json"),
        ("traces", "show", TRACE),
        ("traces", "list", "--since", "2000-01-01"),
        ("trajectories", "list", "--since", "2000-01-01"),
        ("trajectories", "show", "c1"),
        ("trajectories", "show", "c1", "--format", "json"),
        ("usage", "--since", "2000-01-01", "--by", "model,end_user,trace"),
        ("journal", "show"),
    ],
)
def test_no_command_lets_it_through(tmp_path: Path, command: tuple[str, ...]) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_1"))
    named = {"alias": EVIL, "end_user": EVIL, "served_model": EVIL, "version": EVIL, "project": EVIL}
    trace = f"00-{TRACE}-00f067aa0ba902b7-01"
    journal.close(a_record("req_1", conversation="c1", traceparent=trace, verdicts=EVIL, **named))
    journal.stop()
    told = {"error.type": EVIL, "gen_ai.agent.name": EVIL, "gen_ai.tool.name": EVIL, "gen_ai.request.model": EVIL}
    span = a_span("b7ad6b7169203331", name=EVIL, attributes=told, error=True)
    Spool(tmp_path, 0).keep(SENDER, "json", as_json([span], service=EVIL))
    output = CliRunner().invoke(main, [*command, "--state-dir", str(tmp_path)]).output
    assert "end" in output or "list" in command, "what it is about is shown"
    assert not BAD & set(output), ascii(output)
