from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store import manifest, unread
from gateway.store.manifest import JournalState, Manifest
from tests.support.journals import a_journal, a_record, fill
from tests.support.ledgers import update


def count(journal_folder: Path, now: Manifest) -> int:
    return sum(len(entries) for entries in unread.entries(journal_folder, now))


def test_only_what_stands_behind_the_manifests_place_is_unread(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_1"))
    assert count(journal.directory, Manifest()) == 1
    update(tmp_path)
    now = manifest.read(tmp_path)
    assert count(journal.directory, now) == 0
    journal.add(a_record("req_2"))
    assert count(journal.directory, now) == 1
    journal.stop()


def test_a_journal_that_was_read_to_its_end_has_nothing_unread(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record())
    assert count(journal.directory, Manifest(journals={journal.directory.name: JournalState(finished=True)})) == 0
    journal.stop()


def test_segments_that_were_dropped_since_the_manifest_was_read_are_noticed(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    fill(journal, segments=2)
    journal.stop()
    (journal.directory / "000001.seg").unlink()
    with pytest.raises(unread.Gone, match="read on, and dropped"):
        count(journal.directory, Manifest(journals={journal.directory.name: JournalState(1, 64)}))


def test_what_went_away_meanwhile_is_looked_for_three_times() -> None:
    tries: list[int] = []

    def work() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise unread.Gone("merged")
        return "found"

    assert unread.again(work) == "found"
    tries[:] = []

    def never() -> str:
        tries.append(1)
        raise unread.Gone("merged")

    with pytest.raises(unread.Gone):
        unread.again(never)
    assert len(tries) == 3
