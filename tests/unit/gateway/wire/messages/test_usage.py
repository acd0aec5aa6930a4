"""Anthropic's counts and our classes of tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.messages.usage import from_answer, from_counts, stated, to_counts
from gateway.wire.usage import MAX_TOKENS, Usage
from tests.support.wire_samples import SAMPLES


def answer(**usage: Any) -> bytes:
    return json.dumps({"type": "message", "usage": usage}).encode()


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"input_tokens": 5, "output_tokens": 3}, Usage(5, 0, 3, 0)),
        ({"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 3}, Usage(5, 7, 3, 0)),
        ({"input_tokens": 5, "cache_creation_input_tokens": 7, "output_tokens": 3}, Usage(12, 0, 3, 0)),
        (
            {"input_tokens": 5, "output_tokens": 3, "output_tokens_details": {"thinking_tokens": 2}},
            Usage(5, 0, 1, 2),
        ),
        ({"input_tokens": 5, "output_tokens": 3, "output_tokens_details": {"thinking_tokens": 4}}, Usage(5, 0, 3, 0)),
        ({"input_tokens": 5, "output_tokens": 3, "output_tokens_details": 4}, Usage(5, 0, 3, 0)),
        ({"input_tokens": 5, "cache_read_input_tokens": None, "output_tokens": 3}, Usage(5, 0, 3, 0)),
        ({"input_tokens": 5, "cache_read_input_tokens": -1, "output_tokens": 3}, Usage(5, 0, 3, 0)),
        ({"input_tokens": 5}, None),
        ({"output_tokens": 5}, None),
        ({"input_tokens": -1, "output_tokens": 3}, None),
        ({"input_tokens": MAX_TOKENS + 1, "output_tokens": 3}, None),
        ({"input_tokens": 1.5, "output_tokens": 3}, None),
        ({"input_tokens": True, "output_tokens": 3}, None),
        ({}, None),
    ],
)
def test_the_classes_are_disjoint_and_hold_what_is_believable(counts: dict[str, Any], usage: Usage | None) -> None:
    assert from_answer(answer(**counts)) == usage


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"usage":5}', b'{"message":5}', b'{"usage":null}', b"\xff", b"[" * 9999]
)
def test_what_states_nothing_has_no_usage(body: bytes) -> None:
    assert stated(body) == {}
    assert from_answer(body) is None


def test_a_start_states_its_counts_inside_the_message() -> None:
    start = b'{"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":0}}}'
    assert stated(start) == {"input_tokens": 9, "output_tokens": 0}


@pytest.mark.parametrize(
    ("sample", "usage"), [("vllm/messages", Usage(12, 0, 4, 0)), ("llama_cpp/messages", Usage(1, 22, 4, 0))]
)
def test_what_real_servers_state(sample: str, usage: Usage) -> None:
    found = from_answer((SAMPLES / f"{sample}.json").read_bytes())
    assert found is not None
    assert found.input_tokens + found.cached_input_tokens == usage.input_tokens + usage.cached_input_tokens
    assert found.output_tokens == usage.output_tokens


@pytest.mark.parametrize("usage", [Usage(5, 0, 3, 0), Usage(5, 7, 3, 2), Usage(0, 0, 0, 0)])
def test_what_we_state_is_read_back_the_same(usage: Usage) -> None:
    assert from_counts(to_counts(usage)) == usage


def test_nothing_known_is_stated_as_zeros() -> None:
    assert set(to_counts(None).values()) == {0}
