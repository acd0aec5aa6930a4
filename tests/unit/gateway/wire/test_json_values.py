"""JSON that is read to be written anew."""

from __future__ import annotations

import json

import pytest

from gateway.wire import json_values


@pytest.mark.parametrize("said", ['{"a":[1,2.5,null,true,"é😀"]}', '{"a":123456789012345678901234567890}', '"\\ud83d"'])
def test_what_was_read_is_written_again(said: str) -> None:
    written = json_values.written(json_values.read(said.encode()))
    assert json.loads(written) == json.loads(said)


def test_two_escaped_halves_are_one_character_and_half_a_character_stays_half() -> None:
    assert json_values.read(rb'["\ud83d\ude00","\ud83d"]') == ["😀", "\ud83d"]
    assert json_values.written("\ud83d") == rb'"\ud83d"'


def test_a_member_that_appears_twice_is_written_once() -> None:
    assert json_values.written(json_values.read(b'{"a":1,"\\u0061":2}')) == b'{"a":2}'


@pytest.mark.parametrize(
    "said", [b"", b"{", b"{}x", b'"\xff"', b"[" * 100_000, b"1e400", b'["\\ud83d",1e400', b'["\\ud83d",NaN]']
)
def test_what_is_no_json_is_refused(said: bytes) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        json_values.read(said)


def test_a_number_beyond_all_bounds_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_values.written(json_values.read(b'["\\ud83d",1e400]'))


def test_what_is_nested_too_deeply_is_not_written() -> None:
    for innermost in ("", "\ud83d"):
        nested: object = innermost
        for _ in range(100_000):
            nested = [nested]
        with pytest.raises(ValueError, match="nested too deeply"):
            json_values.written(nested)
        while isinstance(nested, list):  # or Python would take it apart by recursion
            nested = nested.pop()
