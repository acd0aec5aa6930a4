"""Frames of a stream, and the data in one."""

from __future__ import annotations

import pytest

from gateway.errors import UpstreamProtocol
from gateway.wire import sse
from gateway.wire.sse import Splitter, data, end_of_frames, frames, payloads


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n", b"\n\r"])
def test_a_blank_line_of_any_kind_ends_a_frame(end: bytes) -> None:
    stream = b"data: 1" + end + b"data: 2" + end
    assert list(frames(stream)) == [b"data: 1" + end, b"data: 2" + end]
    assert list(payloads(stream)) == [b"1", b"2"]


def test_one_line_end_does_not_end_a_frame_also_when_it_is_two_bytes() -> None:
    assert list(frames(b"data: 1\r\ndata: 2\r\n\r\n")) == [b"data: 1\r\ndata: 2\r\n\r\n"]


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\n\n", b"x"),
        (b"data:  x\n\n", b" x"),
        (b"data: x\r\n\r\n", b"x"),
        (b"data: x\r\r", b"x"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"data: a\rdata: b\r\n\n", b"a\nb"),
        (b"event: ping\ndata: x\nid: 1\n\n", b"x"),
        (b"\ndata: x\n\n", b"x"),
        (b"data: x", b"x"),
        (b"data\n\n", b""),
        (b"data:\n\n", b""),
        (b"data: [DONE]\n\n", sse.DONE),
        (b"data: a:b\n\n", b"a:b"),
        (b": comment\n\n", None),
        (b"event: x\n\n", None),
        (b"database: x\n\n", None),
        (b" data: x\n\n", None),
        (b"\n\n", None),
        (b"", None),
    ],
)
def test_data_is_what_the_data_lines_say(frame: bytes, found: bytes | None) -> None:
    assert data(frame) == found


def test_a_frame_is_given_when_its_end_has_come_and_not_before() -> None:
    splitter = Splitter(100)
    assert splitter.feed(b"data: a\n") == []
    assert splitter.feed(b"\ndata: b\n\nda") == [b"data: a\n\n", b"data: b\n\n"]
    assert splitter.rest() == b"da"


def test_a_cr_at_the_end_of_a_chunk_waits_for_what_may_follow() -> None:
    splitter = Splitter(100)
    assert splitter.feed(b"data: a\r\n\r") == []
    assert splitter.rest() == b"data: a\r\n\r"
    assert splitter.feed(b"\n") == [b"data: a\r\n\r\n"]
    assert splitter.rest() == b""


def test_a_frame_beyond_the_bound_is_the_backends_error() -> None:
    splitter = Splitter(10)
    assert splitter.feed(b"data: 12\n\n") == [b"data: 12\n\n"]
    with pytest.raises(UpstreamProtocol, match="more than 10 bytes"):
        splitter.feed(b"data: 12345")
    with pytest.raises(UpstreamProtocol):
        Splitter(10).feed(b"data: 1\n\ndata: 123456\n\n")
    dripping = Splitter(10)
    assert [dripping.feed(b"x") for _ in range(10)] == [[]] * 10
    with pytest.raises(UpstreamProtocol):
        dripping.feed(b"x")


def test_whole_frames_end_at_the_last_blank_line() -> None:
    assert end_of_frames(b"data: a\n\ndata: b\n\ndata") == 18
    assert end_of_frames(b"data: a\r\n\r\ndata: b") == 11
    assert end_of_frames(b"data: a\r\n\r") == 0
    assert end_of_frames(b"data: a\n\n\r") == 9
    assert end_of_frames(b"data: a\n") == end_of_frames(b"") == 0
