"""Whatever happens to the bytes of a journal, the reader does not fail and hands out nothing that was not written."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.layout import RECOVERY, segment_path
from tests.support.journals import a_journal, a_record, dead_copy, opened, recovered

REQUESTS = 40
LEFT_OPEN = {"req_3", "req_17", "req_39"}


@cache
def _written() -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files of a worker that died, and the records it wrote by id."""
    records = {
        f"req_{number}": a_record(f"req_{number}", conversation="c" * (number * 37 % 900), input_tokens=number)
        for number in range(REQUESTS)
    }
    with tempfile.TemporaryDirectory() as folder:
        journal = a_journal(Path(folder, "live"))
        for name, record in records.items():
            journal.open(opened(name))
            if name not in LEFT_OPEN:
                journal.close(record)
        directory = dead_copy(journal, Path(folder, "dead"))
        journal.stop()
        files = {path.name: path.read_bytes() for path in directory.iterdir()}
    used = segment_path(Path(), 1).name
    files[used] = files[used].rstrip(b"\0") + bytes(2_000)  # a short tail of zeros is enough to be hit
    return files, {name: msgspec.msgpack.encode(record) for name, record in records.items()}


SIZE = 24_000
Damage = tuple[str, int, int, bytes]
damages = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, SIZE), st.just(0), st.binary(min_size=1, max_size=64)),
        st.tuples(st.just("zero"), st.integers(0, SIZE), st.integers(1, 5_000), st.just(b"")),
        st.tuples(st.just("cut"), st.integers(0, SIZE), st.just(0), st.just(b"")),
        st.tuples(st.just("copy"), st.integers(0, SIZE), st.integers(0, SIZE), st.just(b"")),
        st.tuples(st.just("remove"), st.integers(0, SIZE), st.integers(1, 3_000), st.just(b"")),
    ),
    min_size=1,
    max_size=6,
)


def _damage(data: bytes, damage: Damage) -> bytes:
    how, at, more, junk = damage
    if how == "cut":
        return data[:at]
    if how == "remove":
        return data[:at] + data[at + more :]
    if how == "copy":
        junk = data[more : more + 700]
    elif how == "zero":
        junk = bytes(more)
    return data[:at] + junk + data[at + len(junk) :] if at <= len(data) else data


@given(damages)
def test_damage_never_stops_the_reader_and_never_invents_a_record(chosen: list[Damage]) -> None:
    files, written = _written()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder, "journal", "0-01a3185c5000")
        directory.mkdir(parents=True)
        for name, data in files.items():
            if name == "000001.seg":
                for damage in chosen:
                    data = _damage(data, damage)
            (directory / name).write_bytes(data)
        tail, records = recovered(directory)
        assert tail.finished
        assert (directory / RECOVERY).exists()
        for record in records:
            if record.outcome == "crashed":
                assert record.id in written
            else:
                assert msgspec.msgpack.encode(record) == written[record.id]
        crashed = [record.id for record in records if record.outcome == "crashed"]
        assert len(set(crashed)) == len(crashed)
        assert tail.open == {}
        missing = written.keys() - {record.id for record in records}
        unnoticeable = any(
            how in ("cut", "remove") for how, *_ in chosen
        )  # an end that falls between entries looks like one
        assert not missing or tail.damaged or tail.torn or unnoticeable


@given(st.binary(max_size=3_000), st.booleans())
def test_a_file_of_anything_is_read_to_its_end(data: bytes, with_header: bool) -> None:
    files, _ = _written()
    header = files["000001.seg"][:32] if with_header else b""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder, "journal", "0-01a3185c5000")
        directory.mkdir(parents=True)
        (directory / "000001.seg").write_bytes(header + data)
        (directory / "lock").touch()
        _, records = recovered(directory)
        assert records == []
