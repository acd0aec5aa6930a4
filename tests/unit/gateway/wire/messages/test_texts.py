"""What of a block is text, and what may stand beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.messages import texts

SEARCHED = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"title": "News", "page_age": None}]}


def test_each_block_has_its_kind_of_text() -> None:
    kinds = {kind: texts.read_as({"type": kind}) for kind in ("text", "thinking", "tool_use", "server_tool_use", "new")}
    assert kinds == {
        "text": texts.TEXT,
        "thinking": texts.THINKING,
        "tool_use": texts.CALL,
        "server_tool_use": texts.CALL,
        "new": texts.OTHER,
    }
    assert texts.read_as({"type": ["text"]}) is texts.OTHER
    assert texts.read_as({"type": "redacted_thinking", "data": "sealed"}) is None


def test_all_of_an_unknown_block_is_text_but_its_ids() -> None:
    assert json.loads(texts.text_of(SEARCHED, texts.OTHER)) == {"content": SEARCHED["content"]}
    assert texts.filled(SEARCHED, texts.OTHER, '{"content": "x"}') == {**SEARCHED, "content": "x"}


def test_what_no_check_reads_does_not_stand_beside_a_text() -> None:
    quoting = {"type": "text", "text": "So.", "citations": [{"cited_text": "secret"}]}
    assert texts.filled(quoting, texts.TEXT, "So.") == {"type": "text", "text": "So."}
    call = {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}, "note": "secret"}
    assert texts.filled(call, texts.CALL, '{"a":2}') == {
        "type": "tool_use",
        "id": "t",
        "name": "look",
        "input": {"a": 2},
    }


def test_a_signature_stays_with_the_thinking_that_it_signs() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    assert texts.filled(thought, texts.THINKING, "Hm.") == thought
    assert texts.filled(thought, texts.THINKING, "H") == {"type": "thinking", "thinking": "H", "signature": ""}


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"a":1}}'])
def test_arguments_must_be_an_object(text: str) -> None:
    assert texts.filled({"type": "tool_use"}, texts.CALL, text) is None


@pytest.mark.parametrize("block", [{"type": "text", "text": None}, {"type": "text", "text": ["x"]}])
def test_a_text_is_a_string(block: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="text"):
        texts.text_of(block, texts.TEXT)
