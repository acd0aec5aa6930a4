"""A known head is never read differently than the parser reads it."""

from __future__ import annotations

import httptools
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.wire.known_head import EVERY, MAX_HEAD_BYTES, TRIES, KnownHead

HEAD = b"POST /v1/chat HTTP/1.1\r\nhost: x\r\ncontent-length: %b\r\nauthorization: Bearer k\r\n\r\n"


def message(body: bytes, length: bytes | None = None) -> bytes:
    return HEAD % (length or b"%d" % len(body)) + body


def knows(learnt: bytes) -> KnownHead[str]:
    known: KnownHead[str] = KnownHead()
    known.learn(learnt, "meaning")
    return known


class Parsed:
    """What llhttp makes of bytes."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.bodies: list[bytes] = []
        self.complete = 0
        self.failed = False
        try:
            httptools.HttpRequestParser(self).feed_data(data)
        except httptools.HttpParserError:
            self.failed = True

    def on_message_begin(self) -> None:
        self.bodies.append(b"")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() != b"content-length":
            self.headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.bodies[-1] += data

    def on_message_complete(self) -> None:
        self.complete += 1


def test_the_same_head_with_another_body_is_known() -> None:
    known = knows(message(b"{}"))
    assert known.body(message(b'{"a": 1}')) == b'{"a": 1}'
    assert known.body(message(b"x" * 12_345)) == b"x" * 12_345
    assert known.value == "meaning"


def test_a_body_of_any_size_is_known_whatever_came_before_it() -> None:
    known = knows(message(b"{}"))
    for size in (1, 8, 9, 10, 11, 98, 99, 100, 101, 9, 999, 1_000, 1):
        assert known.body(message(b"x" * size)) == b"x" * size


def test_nothing_is_known_at_first() -> None:
    assert KnownHead().body(b"") is None
    assert KnownHead().body(message(b"{}")) is None
    assert KnownHead().body(b"3abc") is None


REFUSED = {
    "another header": message(b"{}").replace(b"Bearer k", b"Bearer K"),
    "another path": message(b"{}").replace(b"chat", b"chas"),
    "a part of the body": message(b"{}", b"3"),
    "more than the body": message(b"{}") + b"G",
    "two messages": message(b"{}") + message(b"{}"),
    "a part of the head": message(b"{}")[:-20],
    "no digits": message(b"{}", b" "),
    "a sign": message(b"{}", b"+2"),
    "leading zeros": message(b"{}", b"02"),
    "other digits": message(b"{}", "２".encode()),
    "a list": message(b"{}", b"2, 2"),
    "a header before the length's end": message(b"{}", b"2\r\ntransfer-encoding: chunked"),
}


def test_whatever_differs_is_left_to_the_parser() -> None:
    known = knows(message(b"{}"))
    for name, data in REFUSED.items():
        assert known.body(data) is None, name


@given(
    st.binary(max_size=40),
    st.integers(0, 200),
    st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"0", b" ", b"\0", b"content-length: 2\r\n", b"\r\n\r\n", b"9"]),
    st.integers(0, 3),
)
@example(b"{}", 44, b"1", 0)
def test_what_is_known_is_what_the_parser_reads(body: bytes, at: int, put: bytes, drop: int) -> None:
    whole = message(body)
    data = whole[:at] + put + whole[at + drop :]
    found = knows(message(b"{}")).body(data)
    if found is not None:
        parsed, learnt = Parsed(data), Parsed(message(b"{}"))
        assert (parsed.failed, parsed.complete, parsed.bodies) == (False, 1, [found])
        assert parsed.headers == learnt.headers


def test_heads_without_a_length_and_long_ones_are_not_learnt() -> None:
    chunked = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    assert knows(chunked).body(chunked) is None
    long = message(b"{}").replace(b"Bearer k", b"k" * MAX_HEAD_BYTES)
    assert knows(long).body(long) is None


def test_the_length_named_in_a_body_is_not_taken_for_the_heads() -> None:
    odd = b"POST / HTTP/1.1\r\nhost: x\r\n\r\n\r\ncontent-length: 5\r\n\r\n"
    assert knows(odd).body(odd) is None


def test_a_connection_whose_heads_always_differ_is_soon_left_alone() -> None:
    known: KnownHead[int] = KnownHead()
    learnt = set()
    for number in range(4 * EVERY):
        known.learn(message(b"{}").replace(b"Bearer k", b"id %d" % number), number)
        learnt.add(known.value)
    assert len(learnt) == TRIES + 4


def test_a_hit_makes_learning_worth_its_price_again() -> None:
    known = knows(message(b"{}"))
    for _ in range(3 * TRIES):
        assert known.body(message(b"[]")) == b"[]"
        other = message(b"{}").replace(b"Bearer k", b"Bearer j")
        known.learn(other, "other")
        assert known.body(other) == b"{}"
        known.learn(message(b"{}"), "meaning")
