"""What the editors of all formats do alike, seen with a format of one channel whose frames are strings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.errors import StreamBroken, UpstreamProtocol
from gateway.wire import editing, sse
from gateway.wire.editing import Editing, Frames, Speaking, read_object, written_frame
from gateway.wire.edits import Channel
from gateway.wire.errors import OPENAI
from tests.support.outlets import ScriptedOutlet

STREAM = b'data: "one|"\n\ndata: "two"\n\n: a comment\n\ndata: [DONE]\n\n'


class Strings(Editing):
    """A frame's string is text of the one channel; `[DONE]` ends it; what is neither is an error."""

    def __init__(self, outlet: ScriptedOutlet) -> None:
        super().__init__(OPENAI)
        self.speaking: Speaking | None = Speaking(Channel(0, "content"), outlet)

    def edit(self, frame: bytes) -> Frames:
        payload = sse.data(frame)
        if payload is None:
            yield frame
        elif payload == sse.DONE:
            yield from self.close()
            yield frame
        else:
            if not payload.startswith(b'"'):
                raise UpstreamProtocol(editing.NO_FRAME)
            assert self.speaking is not None
            yield from _said(self.speaking.feed(payload[1:-1].decode()))

    def freed(self) -> Iterator[bytes]:
        if self.speaking is not None:
            yield from _said(self.speaking.outlet.more())

    def close(self) -> Frames:
        speaking, self.speaking = self.speaking, None
        for text in speaking.end() if speaking else ():
            if text is None:
                yield None
            else:
                yield from _said(text)


def _said(text: str) -> Iterator[bytes]:
    if text:
        yield written_frame(text)


@pytest.mark.parametrize("at", range(len(STREAM)))
def test_no_cut_changes_what_is_sent(at: int) -> None:
    editor = Strings(ScriptedOutlet())
    sent = editor.feed(STREAM[:at]) + editor.feed(STREAM[at:]) + editor.finish()
    assert sent == b'data: "one"\n\n: a comment\n\ndata: "two"\n\ndata: [DONE]\n\n'


def test_frames_behind_an_end_that_waits_wait_unread() -> None:
    outlet = ScriptedOutlet(waits=True)
    editor = Strings(outlet)
    assert editor.feed(STREAM) == b'data: "one"\n\n: a comment\n\n'
    assert editor.feed(b"data: no string\n\n") == editor.more() == editor.finish() == b""
    assert editor.waits
    outlet.answer()
    sent = editor.more()
    assert sent.startswith(b'data: "two"\n\ndata: [DONE]\n\ndata: {"error":')
    assert isinstance(editor.failed, UpstreamProtocol)
    assert not editor.waits
    assert editor.feed(STREAM) == editor.more() == editor.finish() == b""


def test_what_answers_set_free_of_an_open_channel_comes_at_once() -> None:
    outlet = ScriptedOutlet()
    editor = Strings(outlet)
    assert editor.feed(b'data: "a"\n\n') == b""
    outlet.answer()
    assert editor.more() == b'data: "a"\n\n'


def test_the_end_of_the_stream_gives_what_is_judged_and_waits_for_the_rest() -> None:
    outlet = ScriptedOutlet(waits=True)
    editor = Strings(outlet)
    assert editor.feed(b'data: "a|b"\n\ndata: "cut of') == b'data: "a"\n\n'
    assert editor.finish() == b""
    assert editor.waits
    outlet.answer()
    assert editor.more() == b'data: "b"\n\n'
    assert not editor.waits


def test_a_last_frame_without_its_blank_line_is_a_frame() -> None:
    editor = Strings(ScriptedOutlet())
    assert editor.feed(b'data: "a"\n\ndata: [DONE]') + editor.finish() == b'data: "a"\n\ndata: [DONE]\n\n'


def test_a_frame_beyond_the_bound_ends_the_stream() -> None:
    editor = Strings(ScriptedOutlet())
    sent = editor.feed(b'data: "' + b"x" * editing.MAX_HELD_BYTES)
    assert sent == OPENAI.frame(StreamBroken(editing.TOO_LONG), None)


def test_too_much_that_waits_ends_the_stream() -> None:
    editor = Strings(ScriptedOutlet(waits=True))
    assert editor.feed(b"data: [DONE]\n\n") == b""
    half = b'data: "%b"\n\n' % (b"x" * (editing.MAX_HELD_BYTES // 2))
    assert editor.feed(half) == b""
    assert editor.feed(half) == OPENAI.frame(StreamBroken(editing.TOO_MUCH), None)


def test_a_character_in_two_halves_is_fed_as_one() -> None:
    outlet = ScriptedOutlet()
    speaking = Speaking(Channel(0, "content"), outlet)
    assert [speaking.feed("a|\ud83d"), speaking.feed(""), speaking.feed("\ude00|\ud83d")] == ["a", "", "😀"]
    assert list(speaking.end()) == ["\ud83d"]
    assert outlet.fed == "a|😀|\ud83d"


@pytest.mark.parametrize("payload", [b"[]", b'"a"', b"{", b"\xff", b""])
def test_data_that_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        read_object(payload)


def test_a_frame_is_written_with_its_event() -> None:
    assert written_frame({"a": "\ud83d"}, "ping") == b'event: ping\ndata: {"a":"\\ud83d"}\n\n'
