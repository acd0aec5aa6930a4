from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.relay import MAX_HELD_BYTES, Relay
from gateway.wire.usage import Usage

CONTENT = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"say \\"usage\\" and \\"error\\" \xc3\xa9"}}]}\n\n'
USAGE = b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'
LAST_WITH_USAGE = (
    b'data: {"id":"1","choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
)
NULL_USAGE = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}\n\n'
ERROR = b'data: {"error":{"message":"engine dead","code":500}}\n\n'
COMMENT = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
SEEN = Usage(7, 0, 3, 0)


def run(pieces: list[bytes], hide: bool) -> tuple[bytes, Relay]:
    relay = Relay(hide_usage=hide)
    out = [relay.feed(piece) for piece in pieces if piece]
    out.append(relay.finish())
    return b"".join(out), relay


def test_a_usage_frame_the_caller_asked_for_passes_and_is_read() -> None:
    out, relay = run([CONTENT, USAGE, DONE], hide=False)
    assert out == CONTENT + USAGE + DONE
    assert relay.usage == SEEN


def test_a_usage_frame_only_the_gateway_asked_for_is_read_and_hidden() -> None:
    out, relay = run([CONTENT, USAGE, DONE], hide=True)
    assert out == CONTENT + DONE
    assert relay.usage == SEEN


def test_usage_a_backend_puts_into_its_last_choice_is_never_hidden() -> None:
    out, relay = run([CONTENT + LAST_WITH_USAGE + DONE], hide=True)
    assert out == CONTENT + LAST_WITH_USAGE + DONE
    assert relay.usage == SEEN


def test_a_null_usage_in_every_frame_hides_nothing() -> None:
    out, relay = run([NULL_USAGE, NULL_USAGE, USAGE, DONE], hide=True)
    assert out == NULL_USAGE * 2 + DONE
    assert relay.usage == SEEN


def test_an_error_a_backend_tells_in_band_passes_and_is_noticed() -> None:
    out, relay = run([CONTENT, ERROR, DONE], hide=True)
    assert out == CONTENT + ERROR + DONE
    assert relay.failed


def test_a_word_in_the_content_is_no_error_and_no_usage() -> None:
    out, relay = run([CONTENT, DONE], hide=True)
    assert (out, relay.failed, relay.usage) == (CONTENT + DONE, False, None)


def test_a_half_frame_waits_until_it_is_whole_so_that_an_error_can_follow_a_whole_one() -> None:
    relay = Relay(hide_usage=True)
    assert relay.feed(CONTENT + b'data: {"cho') == CONTENT
    assert not relay.mid_frame
    assert relay.feed(b'ices":[]}\n\n') == b'data: {"choices":[]}\n\n'


def test_the_last_frame_waits_for_the_end_of_the_answer_so_that_the_record_can_be_closed_before_it() -> None:
    relay = Relay(hide_usage=True)
    assert relay.feed(CONTENT + DONE) == CONTENT
    assert relay.complete
    assert relay.finish() == DONE


def test_what_follows_the_last_frame_follows_it_still() -> None:
    relay = Relay(hide_usage=True)
    assert relay.feed(CONTENT + DONE) == CONTENT
    assert relay.feed(COMMENT) == DONE + COMMENT
    assert not relay.complete


def test_a_huge_frame_passes_in_parts_and_says_so() -> None:
    relay = Relay(hide_usage=True)
    part = b'data: {"choices":[{"delta":{"content":"' + b"x" * MAX_HELD_BYTES
    assert relay.feed(part) == part
    assert relay.mid_frame
    assert relay.feed(b'"}}]}\n\n') == b'"}}]}\n\n'
    assert not relay.mid_frame


def test_what_is_left_without_a_blank_line_passes_at_the_end() -> None:
    out, _ = run([CONTENT, b"data: [DONE]"], hide=True)
    assert out == CONTENT + b"data: [DONE]"


@pytest.mark.parametrize("ending", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n"])
@pytest.mark.parametrize("hide", [True, False])
def test_every_cut_in_two_gives_the_same_bytes(ending: bytes, hide: bool) -> None:
    whole = b"".join([COMMENT, CONTENT, NULL_USAGE, USAGE, DONE]).replace(b"\n\n", ending)
    expected = whole if not hide else whole.replace(USAGE.replace(b"\n\n", ending), b"")
    for at in range(len(whole) + 1):
        out, relay = run([whole[:at], whole[at:]], hide)
        assert out == expected
        assert relay.usage == SEEN


@given(
    frames=st.lists(st.sampled_from([CONTENT, USAGE, NULL_USAGE, LAST_WITH_USAGE, ERROR, COMMENT, DONE]), max_size=12),
    ending=st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"]),
    hide=st.booleans(),
    data=st.data(),
)
def test_no_cut_changes_what_comes_out(frames: list[bytes], ending: bytes, hide: bool, data: st.DataObject) -> None:
    whole = b"".join(frames).replace(b"\n\n", ending)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    out, cut = run(pieces, hide)
    expected, uncut = run([whole], hide)
    assert out == expected
    assert (cut.usage, cut.failed) == (uncut.usage, uncut.failed)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_garbage_passes_as_it_came(pieces: list[bytes]) -> None:
    out, _ = run(pieces, hide=False)
    assert out == b"".join(pieces)
