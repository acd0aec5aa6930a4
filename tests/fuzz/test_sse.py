"""Frames of any stream, cut in every way."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import sse

LIMIT = 10_000
pieces = st.sampled_from(
    [b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"data: ", b"data:", b": c", b"x", b"\xff", b"id: 1"]
)
streams = st.lists(pieces, max_size=24).map(b"".join)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[begin:end] for begin, end in itertools.pairwise(at)]


def split(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
    splitter = sse.Splitter(LIMIT)
    return [frame for chunk in chunks for frame in splitter.feed(chunk)], splitter.rest()


@given(streams, st.lists(st.integers(0, 200), max_size=12))
def test_frames_do_not_depend_on_the_cut_and_lose_no_byte(stream: bytes, places: list[int]) -> None:
    found, rest = split(cut(stream, places))
    assert b"".join(found) + rest == stream
    assert (found, rest) == split([stream])


@given(streams)
def test_every_single_cut_and_one_byte_at_a_time_give_the_same_frames(stream: bytes) -> None:
    whole = split([stream])
    assert split([stream[at : at + 1] for at in range(len(stream))]) == whole
    for at in range(len(stream)):
        assert split([stream[:at], stream[at:]]) == whole


@given(streams)
def test_frames_of_a_whole_stream_are_those_of_the_splitter_and_its_rest(stream: bytes) -> None:
    found, rest = split([stream])
    whole = list(sse.frames(stream))
    assert b"".join(whole) == stream
    assert whole[: len(found)] == found
    assert b"".join(whole[len(found) :]) == rest


def events(stream: bytes) -> list[bytes]:
    """The data of each event, line by line as the standard words it: a blank line dispatches, no data is no event."""
    found: list[bytes] = []
    lines: list[bytes] = []
    for line in re.split(rb"\r\n|\n|\r", stream):
        if not line:
            if lines:
                found.append(b"\n".join(lines))
            lines = []
        elif line == b"data" or line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
    return [*found, b"\n".join(lines)] if lines else found


@given(streams)
def test_the_data_of_all_frames_is_what_the_standard_dispatches(stream: bytes) -> None:
    assert list(sse.payloads(stream)) == events(stream)


@given(streams, streams)
def test_whole_frames_end_where_nothing_that_follows_can_move_it(stream: bytes, more: bytes) -> None:
    end = sse.end_of_frames(stream)
    begun, rest = stream[:end], stream[end:]
    assert events(begun) + events(rest + more) == events(stream + more)
    assert events(rest) == [] or sse.end_of_frames(rest) == 0
