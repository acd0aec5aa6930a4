"""What goes wrong with the keeper, which writes the ledger and the tables of records and spans: it is killed while it
writes, its disk is full, the place that its files are brought to is away."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from gateway.store import manifest
from tests.support.gateway_process import until

if TYPE_CHECKING:
    from tests.chaos.deployment import Deployment

MEETS_S = 300.0
"""Within which a fault meets the keeper at its work: on a machine that does much else a process that is nice waits."""
LOOKS_S = 0.2
"""Between two looks, and two passes that are asked for."""
KILLED_OF = 3
"""One pass in so many is its last, while keepers are killed: the others make files, that there are some to merge."""


def wake(here: Deployment) -> int | None:
    """Has the keeper begin a pass; its process, None while there is none."""
    gateway = here.gateway
    pid = None if gateway is None or gateway.process.poll() is not None else gateway.keeper_pid()
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGHUP)
    return pid


def kill(here: Deployment, random: Random, for_s: float) -> int:
    """Kills keepers for a while, each as it writes a file; how many. One at least."""
    killed = 0
    end = time.monotonic() + for_s
    last = end + MEETS_S
    while time.monotonic() < end or (not killed and time.monotonic() < last):
        pid = wake(here)
        writes = pid is not None and _within(0.5, lambda: _writes(here.state_dir))
        if pid is not None and writes and random.randrange(KILLED_OF) == 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def fails(here: Deployment) -> int:
    """Has the keeper try a pass until one has failed; how many had."""
    return _logs_more(here, "ledger_failed")


def has_files(here: Deployment) -> None:
    """Waits until there are files that could be brought elsewhere, once they are old."""

    def there() -> bool:
        files = manifest.read(here.state_dir).records
        return any(not file.at and file.since_s <= time.time() for file in files)

    _until(here, there, "there are files of records")


def loses_lake(here: Deployment, for_s: float) -> int:
    """Takes the place away that files are brought to; gives it back after `for_s`, and waits until they are there. How
    often it was missed. The gateway's clock is ahead meanwhile, so that there are some to bring."""
    away = here.lake.with_suffix(".away")
    if here.lake.exists():
        here.lake.rename(away)
    here.lake.write_text("in the way")
    missed = _logs_more(here, "records_store_failed")
    time.sleep(for_s)  # the length of the outage
    here.lake.unlink()
    if away.exists():
        away.rename(here.lake)

    _until(here, lambda: any(file.at for file in manifest.read(here.state_dir).records), "files are elsewhere")
    return missed


def _logs_more(here: Deployment, event: str) -> int:
    assert here.gateway is not None
    log, told = here.gateway.log, f'"event":"{event}"'.encode()
    before = log.read_bytes().count(told)
    return _until(here, lambda: log.read_bytes().count(told) - before, f"the keeper tells {event}")


def _until(here: Deployment, look: Callable[[], int], what: str) -> int:
    """Has the keeper do passes until there is something."""

    def found() -> int:
        if not (seen := look()):
            wake(here)
            time.sleep(LOOKS_S)
        return seen

    return until(found, what, MEETS_S)


def _writes(state_dir: Path) -> bool:
    """Is there a file that a writer has not finished?"""
    folders = (manifest.folder(state_dir), manifest.records_folder(state_dir), manifest.spans_folder(state_dir))
    with contextlib.suppress(OSError):  # it finished it
        return any(next(folder.rglob("*.new"), None) is not None for folder in folders)
    return False


def _within(limit_s: float, look: Callable[[], bool]) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if look():
            return True
        time.sleep(0.001)
    return False
