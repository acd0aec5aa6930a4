"""What a moderation asks for, and its answer as OpenAI's client reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import ModerationCreateResponse

from gateway.errors import InvalidRequest
from gateway.wire import moderations
from gateway.wire.moderations import Asked


def parse(**fields: Any) -> Asked:
    return moderations.parse(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ("a", ("a",)),
        (["a", "", "b"], ("a", "", "b")),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b", "more": 1}], ("a\nb",)),
    ],
)
def test_each_string_is_judged_by_itself_and_objects_as_one(given: object, texts: tuple[str, ...]) -> None:
    assert parse(input=given) == Asked(texts, None)
    assert parse(input=given, model="omni-moderation-latest").model == "omni-moderation-latest"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["a", 5]}, "input[1]"),
        ({"input": ["a"] * 1001}, "input"),
        ({"input": ["a", {"type": "text", "text": "b"}]}, "input"),
        ({"input": [{"type": "text"}]}, "input[0].text"),
        ({"input": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}, "input[0]"),
        ({"input": "a", "model": 5}, "model"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_its_place(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(**fields)
    assert refused.value.param == param


def test_the_answer_is_what_openais_client_reads_and_claims_no_more_than_was_judged() -> None:
    body = moderations.answer("modr-1", "toxicity", [0.2, 0.5], 0.5)
    read = ModerationCreateResponse.model_validate_json(body, strict=True)
    assert (read.id, read.model) == ("modr-1", "toxicity")
    assert [result.flagged for result in read.results] == [False, True]
    mild, toxic = json.loads(body)["results"]
    assert mild["category_scores"]["harassment"] == 0.2
    assert not any(mild["categories"].values())
    assert [name for name, found in toxic["categories"].items() if found] == ["harassment"]
    assert [name for name, score in toxic["category_scores"].items() if score] == ["harassment"]
    assert [name for name, kinds in toxic["category_applied_input_types"].items() if kinds] == ["harassment"]


def test_no_category_that_openais_client_knows_is_missing() -> None:
    from openai.types.moderation import Categories

    known = {field.alias or name for name, field in Categories.model_fields.items()}
    assert known == set(moderations.CATEGORIES)
