"""Compressed request bodies (`content-encoding`), read up to a limit: what unfolds beyond it is refused before it is
unfolded.
"""

from __future__ import annotations

import zlib
from typing import Final

from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.wire.body import shown

_WINDOWS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""zlib's `wbits`: 15 for the zlib format, which RFC 9110 calls deflate, and 16 more for gzip's."""


def inflate(body: bytes, encoding: bytes, most: int) -> bytes:
    """The body that was compressed. Raises BodyTooLarge when it has more than `most` bytes, InvalidRequest for another
    encoding and for what cannot be read.
    """
    encoding = encoding.strip().lower()
    if encoding == b"identity":
        return body
    window = _WINDOWS.get(encoding)
    if window is None:
        name = shown(encoding.decode("latin-1"))
        raise InvalidRequest(
            f"content-encoding {name} is not taken here; gzip and deflate are", param="content-encoding"
        )
    reader = zlib.decompressobj(window)
    try:
        found = reader.decompress(body, most + 1)
    except zlib.error:
        raise InvalidRequest(f"the body is not valid {encoding.decode()}", param="content-encoding") from None
    if len(found) > most:
        raise BodyTooLarge(f"the body is larger than the limit of {most} bytes, once it is unfolded")
    if not reader.eof or reader.unused_data:
        raise InvalidRequest(f"the body is not one whole {encoding.decode()} stream", param="content-encoding")
    return found
