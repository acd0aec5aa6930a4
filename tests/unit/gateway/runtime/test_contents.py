"""Keeping what is said holds nothing else up: what fails is logged once, and begun anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.clock import ManualClock
from gateway.config.snapshot import Snapshot
from gateway.runtime.contents import ContentPasses, Contents
from gateway.store import content_journal, manifest
from gateway.store.content import folder
from gateway.telemetry.logs import Log
from tests.support.contents import a_content, a_content_journal, a_state_dir
from tests.support.gateway import config, snapshot_of

URLS = {"b": ["http://127.0.0.1:1"]}


@pytest.fixture
def lines() -> list[bytes]:
    return []


@pytest.fixture
def log(lines: list[bytes]) -> Log:
    return Log(ManualClock(), "info", lines.append)


def keeping() -> Snapshot:
    return snapshot_of(config(URLS, content={"record": "full"}))


def test_a_journal_is_begun_when_a_policy_first_asks_for_one(tmp_path: Path, log: Log) -> None:
    contents = Contents(tmp_path, 0, ManualClock(), log)
    assert contents.of(snapshot_of(config(URLS))) is None
    assert not folder(tmp_path).exists()
    journal = contents.of(keeping())
    assert journal is not None
    assert contents.of(keeping()) is journal
    contents.stop()


def test_a_disk_without_room_for_a_journal_is_logged(
    tmp_path: Path, log: Log, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_journal, "LEAVES_BYTES", 2**62)
    assert Contents(tmp_path, 0, ManualClock(), log).of(keeping()) is None
    assert b"content_not_kept" in b"".join(lines)


def test_a_pass_that_fails_is_logged_once_and_done_later(
    tmp_path: Path, log: Log, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = ContentPasses(a_state_dir(tmp_path), ManualClock(), log)
    assert not passes.add()
    assert not folder(tmp_path).exists()
    journal = a_content_journal(tmp_path)
    journal.keep(a_content())
    journal.keep(a_content("req_2", wrap="${NOT_SET_HERE}"))

    def fails(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "publish_in", fails)
        assert [passes.add() for _ in range(3)] == [False] * 3
    assert b"".join(lines).count(b"content_waits") == 1
    passes.add()
    assert (passes.rows, passes.lost) == (1, 1)
    assert b"NOT_SET_HERE is not set" in b"".join(lines)
    passes.close()
    journal.stop()
