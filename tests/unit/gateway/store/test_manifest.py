from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store import manifest
from gateway.store.journal_follow import IN_RECOVERY, Position
from gateway.store.manifest import JournalState, LedgerFile, LedgerUnreadable, Manifest


def test_there_is_an_empty_ledger_before_the_first(tmp_path: Path) -> None:
    assert manifest.read(tmp_path) == Manifest()


def test_what_is_published_is_read(tmp_path: Path) -> None:
    manifest.folder(tmp_path).mkdir()
    written = Manifest(
        next_number=8,
        files=[LedgerFile("2026-11-22/000007.parquet", 10, 2_000)],
        journals={"0-0193": JournalState(3, 64, finished=True)},
        replaced={"2026-11-22/000001.parquet": 1_800_000_000},
    )
    manifest.publish(tmp_path, written)
    assert manifest.read(tmp_path) == written
    assert written.rows == 10
    assert written.files[0].day == "2026-11-22"
    assert written.journals["0-0193"].position == Position(3, 64)
    assert [path.name for path in manifest.folder(tmp_path).iterdir()] == ["manifest.json"]


def test_a_manifest_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    path = manifest.folder(tmp_path) / "manifest.json"
    path.parent.mkdir()
    path.write_text('{"files": 1}')
    with pytest.raises(LedgerUnreadable, match=r"manifest\.json cannot be read .* move the folder .* away"):
        manifest.read(tmp_path)
    path.write_text('{"format": 99}')
    with pytest.raises(LedgerUnreadable, match="format 99"):
        manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("state", "needed"),
    [
        (JournalState(4, 10), 4),
        (JournalState(IN_RECOVERY, 99, finished=True), 0),
        (JournalState(IN_RECOVERY, 99, finished=True, settled=True), IN_RECOVERY),
    ],
)
def test_segments_are_needed_until_they_are_read_and_what_they_say_is_settled(state: JournalState, needed: int) -> None:
    assert state.first_needed == needed
