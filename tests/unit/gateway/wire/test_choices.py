"""What is kept of an answer that is made of choices, beside its texts."""

from __future__ import annotations

import pytest

from gateway.errors import UpstreamProtocol
from gateway.wire import choices


def test_members_of_an_answer_are_kept_but_for_its_tokens() -> None:
    answer = {"id": "a", "lockgate": {"cost": "0"}, "prompt_token_ids": [1]}
    assert choices.beside(answer) == {"id": "a", "lockgate": {"cost": "0"}}


def test_of_a_choice_only_what_holds_no_text_is_kept() -> None:
    kept = {"role": "assistant", "stop_reason": "END", "count": 5, "refusal": None, "annotations": [], "flag": True}
    assert choices.without_texts({**kept, "index": 0, "other": "a text", "blocks": [{"text": "a"}]}) == kept


def test_shapes_are_read_and_others_are_refused() -> None:
    assert choices.number({}, 3) == 3
    assert choices.number({"index": 2}) == 2
    assert choices.objects({}, "a") == []
    assert choices.member({"a": None}, "a") == {}
    assert choices.text({"a": None, "b": "", "c": "x", "d": "y"}, "a", "b", "c", "d") == "x"


@pytest.mark.parametrize("value", [True, "0", 1.5, None])
def test_a_number_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(UpstreamProtocol):
        choices.number({"index": value})


def test_what_is_no_list_no_object_and_no_text_is_refused() -> None:
    with pytest.raises(UpstreamProtocol):
        choices.objects({"a": {}}, "a")
    with pytest.raises(UpstreamProtocol):
        choices.member({"a": []}, "a")
    with pytest.raises(UpstreamProtocol):
        choices.text({"a": "x", "b": []}, "a", "b")
