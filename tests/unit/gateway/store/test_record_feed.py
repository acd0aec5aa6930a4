from __future__ import annotations

from pathlib import Path

from gateway.store.journal_follow import IN_RECOVERY
from gateway.store.layout import segment_path
from gateway.store.record_feed import RecordFeed
from tests.support.journals import a_journal, a_record, fill, opened, recovered


def told(feed: RecordFeed) -> list[str]:
    found = []
    while records := feed.read():
        found += [record.id for record in records]
    return found


def test_every_record_of_every_journal_comes_once_and_others_go_on_from_the_places(tmp_path: Path) -> None:
    first, second = a_journal(tmp_path), a_journal(tmp_path, slot=1)
    first.open(opened("req_1"))
    first.close(a_record("req_1"))
    second.add(a_record("req_2"))
    feed = RecordFeed(tmp_path, {})
    assert sorted(told(feed)) == ["req_1", "req_2"]
    assert told(feed) == []
    places = feed.places
    second.add(a_record("req_3"))
    third = a_journal(tmp_path, slot=2)
    third.add(a_record("req_4"))
    assert sorted(told(feed)) == ["req_3", "req_4"]
    other = RecordFeed(tmp_path, places)
    assert sorted(told(other)) == ["req_3", "req_4"]
    assert other.places == feed.places
    for journal in (first, second, third):
        journal.stop()
    feed.close()
    other.close()


def test_places_are_known_before_anything_was_read(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_1"))
    feed = RecordFeed(tmp_path, {})
    assert told(feed) == ["req_1"]
    assert RecordFeed(tmp_path, feed.places).places.keys() == feed.places.keys()
    journal.stop()
    feed.close()


def test_a_busy_journal_does_not_keep_another_from_its_turn(tmp_path: Path) -> None:
    busy, quiet = a_journal(tmp_path), a_journal(tmp_path, slot=1)
    fill(busy, segments=3)
    quiet.add(a_record("req_quiet"))
    feed = RecordFeed(tmp_path, {})
    assert "req_quiet" in [record.id for _ in range(2) for record in feed.read()]
    for journal in (busy, quiet):
        journal.stop()
    feed.close()


def test_what_a_crash_left_open_comes_when_it_was_recovered(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_open"))
    feed = RecordFeed(tmp_path, {})
    assert told(feed) == []
    journal.stop()
    recovered(journal.directory)
    (record,) = feed.read()
    assert (record.id, record.outcome) == ("req_open", "crashed")
    assert told(feed) == []
    assert feed.places[journal.directory.name].segment == IN_RECOVERY
    assert told(RecordFeed(tmp_path, feed.places)) == []
    feed.close()


def test_segments_that_were_dropped_before_they_were_read_are_a_gap(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    after = fill(journal)
    feed = RecordFeed(tmp_path, {})
    assert told(feed)
    places = feed.places
    feed.close()
    fill(journal, first_id=after, segments=3)
    for number in (1, 2, 3):
        segment_path(journal.directory, number).unlink()
    other = RecordFeed(tmp_path, places)
    assert told(other)
    assert other.gaps == 1
    journal.stop()
    other.close()


def test_a_journal_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_0"))
    feed = RecordFeed(tmp_path, {"w9-1": (1, 64)})  # type: ignore[dict-item]
    assert list(feed.places) == [journal.directory.name]
    journal.stop()
    for path in journal.directory.iterdir():
        path.unlink()
    journal.directory.rmdir()
    assert feed.read() == []
    assert feed.places == {}
