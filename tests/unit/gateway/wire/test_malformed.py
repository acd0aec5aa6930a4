"""gateway.wire.malformed"""

from __future__ import annotations

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.wire import body, malformed

HALF = "half of a character stands alone at byte {} (an unpaired surrogate escape); both halves, or none"


def reason(data: bytes) -> str:
    with pytest.raises(msgspec.DecodeError) as raised:
        msgspec.json.decode(data)
    return malformed.reason(data, raised.value)


@pytest.mark.parametrize(
    "text",
    [rb"\ud800", rb"\ud800 and more", rb"\uDC00 and more", rb"\ud83d\u0041", rb"\ud800\n", rb"\ud83d\ud83d\ude00"],
)
@pytest.mark.parametrize("before", [b"", rb"\\", rb"\ud83d\ude00", rb"\" \\\\"])
def test_half_of_a_character_is_named_with_its_place(text: bytes, before: bytes) -> None:
    data = b'{"a":"' + before + text + b'","b":1}'
    assert reason(data) == HALF.format(6 + len(before))


@pytest.mark.parametrize("data", [b'{"a":"\\ud83d\\ude00', b'{"a":"\\\\ud800', b'{"a"', b'{"a":"\\'])
def test_what_is_cut_off_ends_too_early(data: bytes) -> None:
    assert reason(data) == "it ends too early"


def test_anything_else_is_said_as_it_was_found() -> None:
    assert reason(b'{"a":x}') == "invalid character (byte 5)"


def test_a_caller_is_told_of_it() -> None:
    with pytest.raises(InvalidRequest, match="half of a character stands alone at byte 6"):
        body.fields(b'{"a":"\\ud800"}')
