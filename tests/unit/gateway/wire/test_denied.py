"""The fields a vLLM backend is never sent."""

from __future__ import annotations

import json

import pytest

from gateway.errors import InvalidRequest
from gateway.wire import body, denied


@pytest.mark.parametrize("name", sorted(denied.FIELDS))
def test_a_dangerous_field_is_refused_by_name_whatever_its_value(name: str) -> None:
    values: list[object] = [None, {}, 0, "x"]
    for value in values:
        with pytest.raises(InvalidRequest, match=f"the field {name} is not accepted") as refused:
            denied.refuse(body.fields(json.dumps({"model": "m", name: value}).encode()))
        assert refused.value.param == name


@pytest.mark.parametrize("name", sorted(denied.TEMPLATE_ARGUMENTS))
def test_the_template_cannot_be_replaced_through_its_arguments(name: str) -> None:
    sent = body.fields(json.dumps({"chat_template_kwargs": {"enable_thinking": True, name: "x"}}).encode())
    with pytest.raises(InvalidRequest) as refused:
        denied.refuse(sent)
    assert refused.value.param == f"chat_template_kwargs.{name}"


def test_other_fields_of_vllm_pass() -> None:
    passing = {
        "model": "m",
        "top_k": 5,
        "min_p": 0.1,
        "chat_template_kwargs": {"enable_thinking": False},
        "structured_outputs": {"choice": ["a"]},
        "cache_salt": "mine",
        "documents": [{"text": "x"}],
        "stop_token_ids": [1],
        "tools": [],
    }
    denied.refuse(body.fields(json.dumps(passing).encode()))
    denied.refuse(body.fields(b'{"chat_template_kwargs":null}'))


def test_every_denied_field_has_its_reason() -> None:
    assert all(len(reason) > 20 for reason in denied.REASONS.values())
