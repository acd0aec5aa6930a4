"""A keeper that is killed with SIGKILL at any moment: every record is in the ledger once, and in the records table."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.store import manifest
from gateway.store.compaction import DAY_NS
from gateway.store.record_query import Query
from gateway.store.record_read import records
from tests.integration.test_serve_crash import metric
from tests.support.gateway_process import minimal, serving, until
from tests.support.journals import a_journal, a_record
from tests.support.ledgers import ids, update

ROOT = Path(__file__).resolve().parents[2]

LEDGER_THAT_DIES = """
import os, sys
from pathlib import Path
from gateway.clock import SystemClock
from gateway.store.ledger import Ledger

left = int(sys.argv[2])

def dies(event, arguments):
    # Every change our own code makes to the disk is announced by an audit event: die at the chosen one.
    global left
    changes = event in ("os.rename", "os.remove", "os.mkdir")
    changes = changes or (event == "open" and ".new" in str(arguments[0]))
    if changes:
        if left == 0:
            os.kill(os.getpid(), 9)
        left -= 1

ledger = Ledger(Path(sys.argv[1]), SystemClock())
sys.addaudithook(dies)
while ledger.add() or ledger.merge():
    pass
print(left)
"""


def of_records(state_dir: Path) -> list[str]:
    """Ids in the records table and the journals, those twice that are there twice."""
    return [record.id for record in records(state_dir, Query())]


@pytest.mark.timeout(600)  # a process for each step
def test_a_writer_killed_at_any_step_has_added_a_record_once_or_not_yet(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "before")
    days_ns = [time.time_ns() - days * DAY_NS for days in (3, 2)]  # over, and not so old that records are dropped
    for number in range(7):
        journal.add(a_record(f"req_{number}", started_ns=days_ns[0] + number))
        update(tmp_path / "before")
    journal.add(a_record("req_7", started_ns=days_ns[0] + 7))
    journal.add(a_record("req_8", started_ns=days_ns[1]))
    wanted = [f"req_{number}" for number in range(9)]
    for step in range(100):
        state_dir = Path(shutil.copytree(tmp_path / "before", tmp_path / str(step)))
        done = subprocess.run(
            [sys.executable, "-c", LEDGER_THAT_DIES, str(state_dir), str(step)],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert sorted(ids(state_dir)) == wanted == of_records(state_dir), f"read after it died at step {step}"
        assert update(state_dir) == 9
        assert sorted(ids(state_dir)) == wanted == of_records(state_dir), f"written on after it died at step {step}"
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert 10 < step < 99
    journal.stop()


def test_every_answer_is_in_the_ledger_once_though_keeper_worker_and_supervisor_are_killed(tmp_path: Path) -> None:
    configuration = minimal(server={"workers": 2})
    served: list[str] = []
    with serving(tmp_path, configuration) as gateway:

        def ask(times: int) -> None:
            served.extend(gateway.chat().headers["x-request-id"] for _ in range(times))

        ask(5)
        for _ in range(3):
            os.kill(until(gateway.keeper_pid, "the keeper runs"), signal.SIGKILL)
            ask(3)
        os.kill(gateway.worker_pids()[0], signal.SIGKILL)
        gateway.until_event("worker_ready", 3)
        ask(5)
        assert sorted(ids(gateway.state_dir)) == sorted(served), "while it runs"
        assert sorted(of_records(gateway.state_dir)) == sorted(served), "while it runs"
        gateway.kill()
    with serving(tmp_path, configuration) as gateway:
        ask(5)
        assert gateway.stop() == 0
    assert manifest.read(tmp_path / "state").rows == len(served), "all of it when the gateway has ended in order"
    assert sorted(ids(tmp_path / "state")) == sorted(served) == sorted(of_records(tmp_path / "state"))


def test_the_metrics_say_what_the_ledger_holds_and_how_old_that_is(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        assert gateway.chat().status == 200
        os.kill(until(gateway.keeper_pid, "the keeper runs"), signal.SIGKILL)  # the next one begins with a pass
        gateway.until_event("keeper_ended")
        until(lambda: metric(gateway, "lockgate_ledger_rows") == 1, "the request is in the ledger")
        assert metric(gateway, "lockgate_ledger_bytes") > 0
        assert metric(gateway, "lockgate_ledger_files") == 1
        assert 0 <= metric(gateway, "lockgate_ledger_age_seconds") < 15


def test_a_ledger_that_cannot_be_written_is_told_and_traffic_goes_on(tmp_path: Path) -> None:
    folder = manifest.folder(tmp_path / "state")
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("?")
    with serving(tmp_path) as gateway:
        (failed,) = gateway.until_event("ledger_failed")
        assert "manifest.json cannot be read" in failed["error"]
        assert gateway.chat().status == 200
        (folder / "manifest.json").unlink()
        gateway.until_event("ledger_goes_on")
