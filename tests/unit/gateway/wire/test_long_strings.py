"""What is left out of a large body, and that offsets lead back to it."""

from __future__ import annotations

import json

import pytest

from gateway.wire.long_strings import LONG_BYTES, STEP_BYTES, shorten

PADDING = b" " * STEP_BYTES * 20  # room for twenty quotes
LONG = b"x" * LONG_BYTES


def test_only_long_strings_are_left_out_and_offsets_lead_back() -> None:
    body = b'{"a":"short","b":"' + LONG + b'","c":["' + LONG + b'","y"],"d":1}' + PADDING
    short = shorten(body)
    assert short is not None
    assert short.text == b'{"a":"short","b":"","c":["","y"],"d":1}' + PADDING
    for part in (b'"a"', b'"b"', b'"c"', b'["', b'"y"', b'"d"', b"1}"):
        assert short.original(short.text.index(part)) == body.index(part)
    assert short.original(len(short.text)) == len(body)


@pytest.mark.parametrize("end", [b"\\\\", b'\\"', b'\\\\\\"', b"\\\\\\\\", b"\\n", b"", b", :"])
def test_a_string_ends_at_the_first_quote_that_is_not_escaped(end: bytes) -> None:
    short = shorten(b'["' + LONG + end + b'",1]' + PADDING)
    assert short is not None
    assert short.text == b'["",1]' + PADDING


def test_names_are_kept() -> None:
    assert shorten(b'{"' + LONG + b'" \n: 1}' + PADDING) is None


def test_a_body_without_long_strings_or_with_too_many_quotes_is_left_to_the_parser() -> None:
    assert shorten(b'{"a":"b"}' + PADDING) is None
    assert shorten(json.dumps({"a": ["x"] * 5_000, "b": LONG.decode()}).encode()) is None
    assert shorten(b'["' + b'\\"' * 100_000 + b'"]') is None


def test_an_unfinished_string_is_left_to_the_parser() -> None:
    assert shorten(b'["' + LONG + PADDING) is None
    assert shorten(b'["' + LONG + PADDING + b'\\"') is None
    assert shorten(b"") is None
