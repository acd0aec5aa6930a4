from __future__ import annotations

import gzip
import zlib

import pytest

from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.wire.inflate import inflate

BODY = b"some body, some body, some body"


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        (b"gzip", gzip.compress(BODY)),
        (b"X-GZIP", gzip.compress(BODY)),
        (b" deflate ", zlib.compress(BODY)),
        (b"identity", BODY),
    ],
)
def test_a_compressed_body_is_unfolded(encoding: bytes, sent: bytes) -> None:
    assert inflate(sent, encoding, len(BODY)) == BODY


@pytest.mark.parametrize("encoding", [b"br", b"gzip, gzip", b"", b"\xff"])
def test_another_encoding_is_refused_and_the_right_ones_are_named(encoding: bytes) -> None:
    with pytest.raises(InvalidRequest, match="is not taken here; gzip and deflate are"):
        inflate(BODY, encoding, 100)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_bomb_is_refused_at_the_limit(pack: object) -> None:
    assert callable(pack)
    bomb: bytes = pack(b"\0" * 50_000_000)
    assert len(bomb) < 60_000
    encoding = b"gzip" if pack is gzip.compress else b"deflate"
    with pytest.raises(BodyTooLarge, match="larger than the limit of 1000000 bytes"):
        inflate(bomb, encoding, 1_000_000)


@pytest.mark.parametrize("sent", [b"", b"no gzip", gzip.compress(BODY)[:-1], gzip.compress(BODY)[:12]])
def test_what_is_no_whole_stream_is_refused(sent: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"is not (valid|one whole) gzip"):
        inflate(sent, b"gzip", 1000)


def test_what_follows_a_stream_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="is not one whole gzip stream"):
        inflate(gzip.compress(BODY) * 2, b"gzip", 1000)
