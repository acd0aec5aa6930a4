"""A stream of named events passes unchanged, and what the gateway must know is read from it."""

from __future__ import annotations

import re

from gateway.errors import StreamBroken
from gateway.wire.errors import OPENAI
from gateway.wire.event_relay import CUT_SHORT, MAX_HELD_BYTES, EventRelay, Seen
from gateway.wire.usage import Usage

TEXT = b'event: text\ndata: {"say":"the end"}\n\n'
COUNTS = b'event: counts\ndata: "counts"\n\n'
BAD = b'event: bad\ndata: "bad"\n\n'
END = b'event: end\ndata: "end"\n\n'
CUT = OPENAI.frame(StreamBroken(CUT_SHORT), None)
SEEN = Usage(1, 2, 3, 4)


def look(payload: bytes) -> Seen:
    return {b'"counts"': Seen(SEEN), b'"bad"': Seen(failed=True), b'"end"': Seen(ends=True)}.get(payload, Seen())


def relay() -> EventRelay:
    return EventRelay(re.compile(b"counts|bad|end|event: error"), look, OPENAI)


def run(stream: bytes, *cuts: int) -> tuple[bytes, bytes, EventRelay]:
    """What passed, what came at the finish, and the relay."""
    passing = relay()
    passed = b"".join(passing.feed(stream[a:b]) for a, b in zip((0, *cuts), (*cuts, len(stream)), strict=True))
    return passed, passing.finish(), passing


def test_events_pass_whole_and_the_last_one_waits_for_the_backends_end() -> None:
    passing = relay()
    assert passing.feed(TEXT + TEXT[:5]) == TEXT
    assert passing.feed(TEXT[5:] + COUNTS + END) == TEXT + COUNTS
    assert (passing.usage, passing.complete, passing.failed) == (SEEN, True, False)
    assert passing.finish() == END


def test_no_cut_changes_what_passes_and_what_is_seen() -> None:
    stream = TEXT + BAD + COUNTS + TEXT + END
    for cut in range(len(stream)):
        passed, rest, passing = run(stream, cut)
        assert (passed, rest) == (stream[: -len(END)], END)
        assert (passing.usage, passing.failed) == (SEEN, True)


def test_what_follows_the_end_is_dropped() -> None:
    stream = TEXT + END + TEXT + b"data: ha"
    for cut in range(len(TEXT + END) - 2, len(stream)):
        passed, rest, _ = run(stream, cut)
        assert (passed, rest) == (TEXT, END)


def test_a_stream_that_ends_without_its_last_event_ends_with_an_error() -> None:
    for half in (b"", END[:-9], b"event: er"):
        passed, rest, passing = run(TEXT + half)
        assert (passed, rest) == (TEXT, CUT)
        assert (passing.complete, passing.failed) == (False, True)


def test_an_error_event_is_the_end_of_a_stream_whatever_it_says() -> None:
    error = b'event: error\ndata: {"code":500}\n\n'
    passed, rest, passing = run(TEXT + error)
    assert (passed, rest) == (TEXT + error, b"")
    assert passing.failed


def test_an_end_without_its_blank_line_is_one() -> None:
    passing = relay()
    assert passing.feed(TEXT + END[:-1]) == TEXT
    assert passing.finish() == END[:-1]


def test_an_event_too_long_to_hold_passes_in_parts_and_the_relay_knows() -> None:
    passing = relay()
    start = b"data: " + b"x" * MAX_HELD_BYTES
    assert passing.feed(start) == start
    assert passing.mid_frame
    assert passing.feed(b"\n\n" + TEXT) == b"\n\n" + TEXT
    assert not passing.mid_frame
    assert passing.feed(start) == start
    assert passing.finish() == b"\n\n" + CUT


def test_an_event_too_long_to_hold_may_have_been_the_last_one() -> None:
    passing = relay()
    passing.feed(b"data: " + b"x" * MAX_HELD_BYTES)
    assert passing.feed(b"\n\n") == b"\n\n"
    assert (passing.finish(), passing.failed) == (b"", False)
