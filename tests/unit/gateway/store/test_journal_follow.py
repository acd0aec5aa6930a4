from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store.journal_follow import BEGIN, IN_RECOVERY, Follower, Position
from gateway.store.layout import CLOSED, HEADER, OPENED, RECOVERED, WHOLE
from tests.support.journals import a_journal, a_record, dead_copy, fill, opened, recovered


def kinds(follower: Follower) -> list[int]:
    return [kind for piece in follower.pieces() for kind, _ in piece.entries]


def test_every_entry_has_a_place_and_reading_on_from_it_gives_what_comes_after(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_a"))
    journal.add(a_record("req_b", conversation="c" * 7))
    journal.close(a_record("req_a"))
    fill(journal, segments=2, size=100)
    everything = [placed for piece in Follower(journal.directory).pieces() for placed in piece.placed()]
    assert [kind for _, kind, _ in everything[:3]] == [OPENED, WHOLE, CLOSED]
    assert {position.segment for position, _, _ in everything} == {1, 2, 3}
    assert [position for position, _, _ in everything] == sorted(position for position, _, _ in everything)
    for number in (0, 1, 2, 50, len(everything) - 1):
        rest = kinds(Follower(journal.directory, everything[number][0]))
        assert rest == [kind for _, kind, _ in everything[number + 1 :]]
    journal.stop()


def test_the_place_is_the_one_the_writer_was_at(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    assert kinds(Follower(journal.directory)) == []
    journal.add(a_record("req_b", conversation="c" * 6))
    at = Position(journal.sequence, journal.written_bytes)
    journal.add(a_record("req_c"))
    follower = Follower(journal.directory, at)
    assert follower.position == at
    assert kinds(follower) == [WHOLE]
    assert follower.position == (journal.sequence, journal.written_bytes)
    journal.stop()


def test_it_goes_on_when_more_is_written(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    follower = Follower(journal.directory)
    for _ in range(3):
        assert kinds(follower) == []
        journal.add(a_record())
        assert kinds(follower) == [WHOLE]
    journal.stop()


def test_what_recovery_wrote_is_behind_everything_else(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_a"))
    journal.open(opened("req_b"))
    directory = dead_copy(journal, tmp_path / "dead")
    recovered(directory)
    follower = Follower(directory)
    places = [(position, kind) for piece in follower.pieces() for position, kind, _ in piece.placed()]
    assert [kind for _, kind in places] == [OPENED, OPENED, RECOVERED, RECOVERED]
    assert [position.segment for position, _ in places] == [1, 1, IN_RECOVERY, IN_RECOVERY]
    assert follower.finished
    again = Follower(directory, places[2][0])
    assert kinds(again) == [RECOVERED]
    assert again.finished
    assert kinds(Follower(directory, follower.position)) == []
    journal.stop()


def test_segments_that_were_dropped_are_passed_over(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    fill(journal, segments=2)
    follower = Follower(journal.directory)
    count = len(kinds(follower))
    at = follower.position
    (journal.directory / "000001.seg").unlink()
    assert kinds(Follower(journal.directory, at)) == []
    assert 0 < len(kinds(Follower(journal.directory))) < count
    journal.stop()


@pytest.mark.parametrize("at", [5, 40])
def test_behind_damage_entries_are_placed_rather_too_late_than_too_early(tmp_path: Path, at: int) -> None:
    journal = a_journal(tmp_path)
    for number in range(5):
        journal.add(a_record(f"req_{number}"))
    right = [place for piece in Follower(journal.directory).pieces() for place in piece.placed()]
    end = Position(journal.sequence, journal.written_bytes)
    journal.stop()
    path = journal.directory / "000001.seg"
    data = bytearray(path.read_bytes())
    data[right[1][0].offset + at] ^= 0xFF
    path.write_bytes(data)
    (journal.directory / "recovery.seg").write_bytes(b"")
    follower = Follower(journal.directory)
    placed = [place for piece in follower.pieces() for place in piece.placed()]
    true = {payload: position for position, _, payload in right}
    assert len(placed) == 4
    assert all(position >= true[payload] for position, _, payload in placed)
    assert placed[-1][0] == end


def test_a_directory_that_is_not_there_gives_nothing(tmp_path: Path) -> None:
    assert kinds(Follower(tmp_path / "0-000000000001")) == []
    assert Follower(tmp_path / "0-000000000001").position == BEGIN
    assert HEADER.size == 32
