from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from gateway.clock import SystemClock, within
from gateway.runtime.control_channel import Drain
from gateway.runtime.keeper import LAST_TRIES, Keeper
from gateway.runtime.keeper_meters import KeeperMeters
from gateway.runtime.keeping import KeeperStart
from gateway.store import manifest
from gateway.store.ledger import Ledger
from gateway.telemetry.logs import Log
from tests.support.journals import a_journal, recovered

LOG = Log(SystemClock(), "error", lambda line: None)


class Told(KeeperMeters):
    """While the keeper's first pass is under way a worker ends, and the keeper is told to end, too."""

    keeper: Keeper
    slow = 0
    """How often its store does not answer from then on."""
    asked = 0
    ended: str = ""

    async def settle(self, journals: list[str]) -> list[str]:
        self.asked += 1
        if self.slow:
            self.slow -= 1
            self.unsettled = len(journals)
            return []
        return await super().settle(journals)

    async def look_over(self, ledger: Ledger | None) -> None:
        if not self.ended:
            journal = a_journal(self._folder)
            journal.stop()
            recovered(journal.directory)
            self.ended = journal.directory.name
            self.keeper._told(Drain())


def kept(tmp_path: Path, slow: int = 0) -> tuple[bool, int]:
    """Runs a keeper to its end; whether the worker's leases were given back then, and how often that was tried."""
    (tmp_path / "state-id").write_text("s")
    (tmp_path / "run").mkdir()

    async def run() -> tuple[bool, int]:
        ours, theirs = socket.socketpair()
        keeper = Keeper(KeeperStart(theirs.detach(), str(tmp_path), "d" * 64, "error", "sqlite", 0), LOG)
        await keeper._meters.close()
        meters = Told(tmp_path, "sqlite", SystemClock(), LOG)
        meters.keeper, meters.slow, keeper._meters = keeper, slow, meters
        await within(keeper.run(), 60)
        ours.close()
        return manifest.read(tmp_path).journals[meters.ended].settled, meters.asked

    return asyncio.run(run())


def test_who_is_told_to_end_in_the_midst_of_a_pass_makes_another_one(tmp_path: Path) -> None:
    assert kept(tmp_path) == (True, 1)


def test_a_store_that_is_slow_at_the_end_is_asked_again(tmp_path: Path) -> None:
    assert kept(tmp_path, slow=1) == (True, 2)


def test_a_store_that_is_gone_at_the_end_holds_it_up_no_longer_than_a_few_tries(tmp_path: Path) -> None:
    assert kept(tmp_path, slow=1_000) == (False, LAST_TRIES)
