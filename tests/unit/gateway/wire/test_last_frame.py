import json

import pytest

from gateway.wire import sse
from gateway.wire.last_frame import noted
from gateway.wire.relay import DONE_FRAME

TOLD = b'{"cost_usd":"0.000000001"}'


def test_an_event_gets_another_member() -> None:
    before = b'event: a\ndata: {"type":"a"}\n\n'
    frames = noted(before + b'event: message_stop\ndata: {"type":"message_stop"}\n\n', TOLD)
    assert frames.startswith(before)
    assert json.loads(sse.data(frames[len(before) :]) or b"") == {"type": "message_stop", "lockgate": json.loads(TOLD)}


def test_before_done_it_is_a_comment() -> None:
    assert noted(b"data: {}\n\n" + DONE_FRAME, TOLD) == b"data: {}\n\n: lockgate " + TOLD + b"\n\n" + DONE_FRAME


@pytest.mark.parametrize("frames", [b"", b"data: [1]\n\n", b"data: {}"])
def test_where_there_is_no_place_nothing_is_told(frames: bytes) -> None:
    assert noted(frames, TOLD) == frames
