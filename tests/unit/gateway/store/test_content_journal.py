"""Content on its way: nothing in the clear, whole or not at all, and never more than the disk has room for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gateway.clock import ManualClock
from gateway.store import content_journal
from gateway.store.content import MOST_BYTES, Content, Said
from gateway.store.content_journal import ContentJournal, ContentReader, journals
from gateway.store.journal_follow import BEGIN, Position
from tests.support.contents import TEXT, a_content, a_content_journal, in_any_file


def read(state_dir: Path, start: Position = BEGIN) -> list[Content | None]:
    (directory,) = journals(state_dir)
    reader = ContentReader(directory, start)
    found = [content for content, _, _ in reader.contents()]
    reader.close()
    return found


def test_what_is_kept_is_read_again_and_stands_nowhere_in_the_clear(tmp_path: Path) -> None:
    journal = a_content_journal(tmp_path)
    assert journal.keep(a_content("req_1"))
    assert journal.keep(a_content("req_2", answer=Said(b"", 0)))
    assert read(tmp_path) == [a_content("req_1"), a_content("req_2", answer=Said(b"", 0))]
    assert in_any_file(tmp_path, TEXT) == []
    journal.stop()
    assert len(read(tmp_path)) == 2


def test_the_longest_content_passes_and_reading_goes_on_behind_any_of_them(tmp_path: Path) -> None:
    journal = a_content_journal(tmp_path)
    long = Said(os.urandom(MOST_BYTES), 10**9, "", True)
    wanted = [a_content(f"req_{number}", request=long, answer=long) for number in range(3)]
    for content in wanted:
        assert journal.keep(content)
    (directory,) = journals(tmp_path)
    reader = ContentReader(directory, BEGIN)
    places = [position for _, position, _ in reader.contents()]
    reader.close()
    assert [read(tmp_path, place) for place in places] == [wanted[1:], wanted[2:], []]
    journal.stop()


def test_content_that_a_segment_ends_in_is_whole_in_the_next(tmp_path: Path) -> None:
    journal = a_content_journal(tmp_path)
    wanted = [a_content(f"req_{number}", request=Said(os.urandom(MOST_BYTES), MOST_BYTES)) for number in range(80)]
    for content in wanted:
        assert journal.keep(content)
    assert (journals(tmp_path)[0] / "000003.seg").exists()
    assert read(tmp_path) == wanted
    journal.stop()


def test_segments_that_were_read_are_forgotten(tmp_path: Path) -> None:
    journal = a_content_journal(tmp_path)
    for number in range(80):
        assert journal.keep(a_content(f"req_{number}", request=Said(os.urandom(MOST_BYTES), MOST_BYTES)))
    (directory,) = journals(tmp_path)
    content_journal.forget(directory, 2)
    assert [path.name for path in sorted(directory.glob("*.seg"))] == ["000002.seg", "000003.seg"]
    journal.stop()


def test_a_key_is_used_for_minutes_and_forgotten_when_what_it_locks_was_moved(tmp_path: Path) -> None:
    clock = ManualClock()
    journal = ContentJournal.create(tmp_path, 0, clock)
    for _ in range(2):
        journal.keep(a_content("req_1"))
        journal.keep(a_content("req_2"))
        clock.advance(content_journal.KEY_S)
    (directory,) = journals(tmp_path)
    first, second = sorted(directory.glob("*.key"))
    os.utime(first, (0, 0))
    reader = ContentReader(directory, BEGIN)
    assert len(list(reader.contents())) == 4
    reader.forget_keys()
    reader.close()
    assert list(directory.glob("*.key")) == [second]
    assert read(tmp_path) == [None, None, a_content("req_1"), a_content("req_2")]
    journal.stop()


def test_without_its_key_nothing_can_be_read(tmp_path: Path) -> None:
    journal = a_content_journal(tmp_path)
    journal.keep(a_content())
    journal.stop()
    (key,) = journals(tmp_path)[0].glob("*.key")
    key.write_bytes(os.urandom(32))
    assert read(tmp_path) == [None]
    key.unlink()
    assert read(tmp_path) == [None]


def test_where_the_disk_has_room_for_records_only_nothing_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_journal, "LEAVES_BYTES", 2**62)
    with pytest.raises(OSError, match="for records"):
        a_content_journal(tmp_path)


def test_where_the_keeper_is_far_behind_content_is_refused_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_journal, "MOST_SEGMENTS", 2)
    journal = a_content_journal(tmp_path)
    taken = 0
    while journal.keep(a_content(request=Said(os.urandom(MOST_BYTES), MOST_BYTES))):
        taken += 1
        assert taken < 1_000
    assert 0 < journal.kept == taken
    assert journal.refused == 1
    journal.stop()


@pytest.mark.parametrize(("share", "whole"), [(0.0, 0), (0.2, 0), (0.5, 1), (0.9, 2), (1.0, 3)])
def test_of_a_worker_that_was_killed_what_was_whole_by_then_is_read(tmp_path: Path, share: float, whole: int) -> None:
    living, killed = tmp_path / "living", tmp_path / "killed"
    journal = a_content_journal(living)
    wanted = [a_content(f"req_{number}", request=Said(os.urandom(MOST_BYTES), MOST_BYTES)) for number in range(3)]
    for content in wanted:
        journal.keep(content)
    shutil.copytree(living, killed)
    journal.stop()
    segment = journals(killed)[0] / "000001.seg"
    written = segment.read_bytes()
    used = len(written.rstrip(b"\0"))
    segment.write_bytes(written[: int(used * share)].ljust(len(written), b"\0"))
    assert read(killed) == wanted[:whole]
