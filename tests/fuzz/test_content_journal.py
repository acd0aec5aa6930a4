"""Whatever happens to the files of a content journal: the reader ends, and hands out nothing that was not kept."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import ManualClock
from gateway.store.content import Content, Said
from gateway.store.content_journal import _HEAD, ContentJournal, ContentReader
from gateway.store.content_read import contents
from gateway.store.journal import Journal
from gateway.store.journal_follow import BEGIN
from tests.support.contents import a_content, a_content_journal, a_state_dir
from tests.support.journals import dead_copy

NAME = "0-01a3185c5000"
SIZE = 60_000


@cache
def _written() -> tuple[dict[str, bytes], dict[str, Content]]:
    """The files of a worker that died, and what it kept by request."""
    made = {
        f"req_{number}": a_content(f"req_{number}", request=Said(os.urandom(number * 997 % 9_000), 9_000))
        for number in range(12)
    }
    with tempfile.TemporaryDirectory() as folder:
        journal = a_content_journal(Path(folder, "live"))
        for content in made.values():
            journal.keep(content)
        directory = dead_copy(journal._journal, Path(folder, "dead"))
        journal.stop()
        files = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    files["000001.seg"] = files["000001.seg"].rstrip(b"\0") + bytes(2_000)
    return files, made


Damage = tuple[str, str, int, bytes]
damages = st.lists(
    st.tuples(
        st.sampled_from(["write", "cut", "remove"]),
        st.sampled_from(["000001.seg"] * 5 + ["000001.key"]),
        st.integers(0, SIZE),
        st.binary(min_size=1, max_size=40),
    ),
    min_size=1,
    max_size=5,
)


def _damaged(data: bytes, how: str, at: int, junk: bytes) -> bytes:
    at %= len(data) + 1
    if how == "cut":
        return data[:at]
    return data[:at] + (junk if how == "write" else b"") + data[at + len(junk) :]


@given(damages)
def test_damage_never_stops_the_reader_and_never_invents_content(chosen: list[Damage]) -> None:
    files, kept = _written()
    found = dict(files)
    for how, name, at, junk in chosen:
        found[name] = _damaged(found[name], how, at, junk)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder, "content", "journal", NAME)
        directory.mkdir(parents=True)
        for name, data in found.items():
            (directory / name).write_bytes(data)
        reader = ContentReader(directory, BEGIN)
        read = [content for content, _, _ in reader.contents()]
        reader.forget_keys()
        reader.close()
        state_dir = a_state_dir(Path(folder))
        shown = contents(state_dir, list(kept), {})
    assert all(content is None or content == kept[content.id] for content in read)
    assert shown == {content.id: content for content in read if content is not None}
    if found["000001.key"] != files["000001.key"]:
        assert not any(read), "nothing is opened by another key"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 4), st.binary(max_size=30)), max_size=9))
def test_entries_that_are_no_content_are_passed_over(entries: list[tuple[int, int, int, bytes]]) -> None:
    """Whole entries, whatever they say: of parts out of order, of keys that never were."""
    with tempfile.TemporaryDirectory() as folder:
        state_dir = a_state_dir(Path(folder))
        journal = ContentJournal.create(state_dir, 0, ManualClock())
        inner: Journal = journal._journal
        assert journal.keep(a_content("req_1"))
        for number, part, count, data in entries:
            inner.put(_HEAD.pack(number, part, count) + data)
        inner.put(b"x")
        assert journal.keep(a_content("req_2"))
        assert contents(state_dir, ["req_1", "req_2"], {}) == {name: a_content(name) for name in ("req_1", "req_2")}
        journal.stop()
