"""JSON that is read to be written anew: every value of it, with halves of characters that were escaped alone.

A member that appears twice is read once, the last of them, and so is written once.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import msgspec

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


def read(data: bytes) -> Any:
    """Raises ValueError for what is no JSON in UTF-8, and for what is nested too deeply."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as malformed:
        if isinstance(malformed, RecursionError) or b"\\u" not in data:
            raise ValueError("no JSON, or nested too deeply") from None
    try:  # a half of a character, which msgspec does not read
        return json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ValueError("no JSON, or nested too deeply") from None


def written(value: Any) -> bytes:
    """The JSON of a value that was read; a half of a character is escaped again. Raises ValueError for a number beyond
    all bounds, and for what is nested too deeply."""
    try:
        return _encode(value)
    except (UnicodeEncodeError, OverflowError):
        pass
    except RecursionError:
        raise ValueError("nested too deeply") from None
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
