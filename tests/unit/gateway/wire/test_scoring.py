"""What the gateway itself requires of a rerank and of a score."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.wire import scoring
from gateway.wire.usage import Usage

RERANK = {"model": "m", "query": "q", "documents": ["a", "b"]}


def test_a_rerank_is_read_and_is_never_a_stream() -> None:
    call = scoring.parse_rerank(json.dumps({**RERANK, "stream": True}).encode())
    assert (call.endpoint, call.alias, call.stream) == ("rerank", "m", False)


@pytest.mark.parametrize("names", [("text_1", "text_2"), ("queries", "documents"), ("data_1", "data_2")])
def test_a_score_may_name_its_two_sides_in_any_way(names: tuple[str, str]) -> None:
    call = scoring.parse_score(json.dumps({"model": "m", **dict.fromkeys(names, "a")}).encode())
    assert (call.endpoint, call.alias) == ("score", "m")


@pytest.mark.parametrize("missing", ["model", "query", "documents"])
def test_a_rerank_without_what_it_needs_is_refused_by_name(missing: str) -> None:
    fields: dict[str, Any] = {**RERANK, missing: None}
    with pytest.raises(InvalidRequest) as refused:
        scoring.parse_rerank(json.dumps(fields).encode())
    assert refused.value.param == missing


@pytest.mark.parametrize("codec", [scoring.RERANK, scoring.SCORE])
def test_the_tokens_of_a_ranking_are_input(codec: Any) -> None:
    assert codec.native.usage(b'{"results":[],"usage":{"prompt_tokens":5,"total_tokens":5}}') == Usage(5, 0, 0, 0)
    assert codec.translated is None
