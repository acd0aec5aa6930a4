"""Workers that are killed with SIGKILL at any moment: what they had written is there, and every request has one end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store.journal_read import Tail, directories, writer_lives
from gateway.store.layout import RECOVERY
from gateway.store.recovery import recover
from tests.support.journals import recovered

ROOT = Path(__file__).resolve().parents[2]


def killed_after(state_dir: Path, lines: int) -> tuple[set[str], set[str]]:
    """Runs a writer until it has said `lines` lines, kills it, and returns the ids it said it had opened and closed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.journal_writer", str(state_dir)], cwd=ROOT, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        (directory,) = [path for path in directories(state_dir) if writer_lives(path)]
        assert not recover(Tail(directory), lambda _: None), "a living worker's journal was recovered"
        writer.kill()
        said += writer.stdout.read().splitlines(keepends=True)
    whole = [line.decode().split() for line in said if line.endswith(b"\n")]
    return {name for verb, name in whole if verb == "opened"}, {name for verb, name in whole if verb == "closed"}


@pytest.mark.parametrize("lines", [1, 2, 10, 101, 333, 1_000, 2_500])
def test_a_killed_worker_loses_nothing_it_had_written(tmp_path: Path, lines: int) -> None:
    opened, closed = killed_after(tmp_path, lines)
    (directory,) = directories(tmp_path)
    tail, records = recovered(directory)
    ends = {record.id: record.outcome for record in records}
    assert len(ends) == len(records), "a request ended twice"
    assert opened <= ends.keys()
    assert {name for name, outcome in ends.items() if outcome == "answered"} >= closed
    # One entry at most was written and not yet said so when the signal came.
    assert len(ends.keys() - opened) <= 1
    assert (tail.damaged, tail.unreadable, tail.unopened, tail.open) == (0, 0, 0, {})
    assert tail.opened == tail.closed == len(ends)


def test_workers_killed_again_and_again_leave_one_journal_each(tmp_path: Path) -> None:
    said = [killed_after(tmp_path, 20) for _ in range(4)]
    ends: list[str] = []
    for directory in directories(tmp_path):
        ends += [record.id for record in recovered(directory)[1]]
    assert len(set(ends)) == len(ends)
    assert set().union(*(opened for opened, _ in said)) <= set(ends)


RECOVERY_THAT_DIES = """
import os, sys
from pathlib import Path
from gateway.store.journal_read import Tail
from gateway.store.recovery import recover

left = int(sys.argv[2])

def dies(event, arguments):
    # Every change recovery makes to the disk is announced by an audit event: die at the chosen one.
    global left
    changes = event in ("os.rename", "os.remove", "os.truncate")
    changes = changes or (event == "open" and "recovery.new" in str(arguments[0]))
    if changes:
        if left == 0:
            os.kill(os.getpid(), 9)
        left -= 1

tail = Tail(Path(sys.argv[1]))
sys.addaudithook(dies)
recover(tail, lambda records: None)
"""


@pytest.mark.parametrize("steps", range(5))
def test_a_recovery_killed_at_any_step_is_finished_by_the_next(tmp_path: Path, steps: int) -> None:
    opened, _ = killed_after(tmp_path, 200)
    (directory,) = directories(tmp_path)
    subprocess.run([sys.executable, "-c", RECOVERY_THAT_DIES, str(directory), str(steps)], cwd=ROOT, check=False)
    tail, records = recovered(directory)
    ids = [record.id for record in records]
    assert len(set(ids)) == len(ids)
    assert opened <= set(ids)
    assert (tail.open, tail.damaged) == ({}, 0)
    assert (directory / RECOVERY).exists()


FULL_DISK = """
import resource, sys
from pathlib import Path
from gateway.clock import SystemClock
from gateway.store.journal import Journal
from gateway.store.layout import MIN_SEGMENT_BYTES
from gateway.store.records import Opened, Record

# A limit on the size of files refuses new segments as a full disk does, for an ordinary user.
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

journal = Journal.create(Path(sys.argv[1]), 0, SystemClock(), segment_bytes=MIN_SEGMENT_BYTES, background=False)
limit(MIN_SEGMENT_BYTES - 1)
for number in range(600):
    journal.open(Opened(f"req_{number}", 1, "acme", "app", "chat", "small", "gpu-a"))
refused = 0
while journal.accepts_new:
    journal.add(Record(id=f"refused_{refused}", outcome="refused", conversation="c" * 1000))
    refused += 1
    journal.refill()
for number in range(600):
    journal.close(Record(id=f"req_{number}", outcome="answered"))
print(600 + refused, journal.closed, journal.unwritten)
limit(resource.RLIM_INFINITY)
print(journal.refill(), journal.accepts_new)
journal.stop()
"""


def test_a_disk_that_is_full_costs_no_running_request_its_end(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    number, closed, unwritten, *accepts_again = done.stdout.split()
    assert (closed, unwritten, accepts_again) == (number, "0", ["True", "True"])
    (directory,) = directories(tmp_path)
    tail, records = recovered(directory)
    assert (len(records), tail.recovered, tail.damaged) == (int(number), 0, 0)


def test_the_background_thread_provides_each_next_segment(tmp_path: Path) -> None:
    """With its thread a journal goes from segment to segment by itself."""
    opened, _ = killed_after(tmp_path, 2_000)
    (directory,) = directories(tmp_path)
    assert len([name for name in os.listdir(directory) if name.endswith(".seg")]) > 3
    assert len(opened) > 500
