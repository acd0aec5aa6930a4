"""What completions require, and how a prompt opens."""

from __future__ import annotations

import json

import pytest

from gateway.errors import InvalidRequest
from gateway.wire import completions


def opening(prompt: object) -> bytes:
    return completions.opening(completions.parse(json.dumps({"model": "m", "prompt": prompt}).encode()))


def test_a_prompt_is_required() -> None:
    for body in (b'{"model":"m"}', b'{"model":"m","prompt":null}'):
        with pytest.raises(InvalidRequest, match="prompt is required"):
            completions.parse(body)


@pytest.mark.parametrize("prompt", ["", "once", ["a", "b"], [1, 2], [[1], [2]]])
def test_every_shape_of_prompt_passes(prompt: object) -> None:
    body = json.dumps({"model": "m", "prompt": prompt, "stream": True}).encode()
    call = completions.parse(body)
    assert (call.endpoint, call.stream, call.body) == ("completions", True, body)


def test_a_prompt_opens_with_its_first_512_bytes() -> None:
    assert opening("once") == b"once"
    assert opening("x" * 511) == b"x" * 511
    assert opening("x" * 512) == opening("x" * 512 + "y") == b"x" * 512
    assert opening("") == opening(["once"]) == opening([1, 2]) == b""
