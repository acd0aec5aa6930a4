import json
from typing import Any

import pytest

from guardrails.checks.tools import (
    AFTER_UNTRUSTED,
    NO_OBJECT,
    NOT_ALLOWED,
    NOT_VALID,
    TOO_DEEP,
    TWICE,
    ToolPolicy,
    policy,
)

POLICY = ToolPolicy(("search", "get_*", "send_mail"), privileged=("send_*",), untrusted_results=("search",))


def test_tools_that_are_not_allowed_are_neither_offered_nor_called() -> None:
    assert POLICY.refused_offers(["search", "rm", "get_order"]) == ["rm"]
    assert POLICY.refusal("rm", "{}") == NOT_ALLOWED
    assert POLICY.refusal("get_order", '{"id": 1}') is None
    assert ToolPolicy().refusal("anything", "{}") is None


def test_a_privileged_tool_is_refused_after_a_result_that_strangers_can_write() -> None:
    assert POLICY.refusal("send_mail", "{}", results=["get_order"]) is None
    assert POLICY.refusal("send_mail", "{}", results=["get_order", "search"]) == AFTER_UNTRUSTED
    assert POLICY.refusal("get_order", "{}", results=["search"]) is None


def test_a_second_policy_must_allow_a_call_as_well() -> None:
    both = ToolPolicy(("search", "rm"), also=POLICY)
    assert both.refused_offers(["search", "rm", "get_order"]) == ["rm", "get_order"]
    assert both.refusal("rm", "{}") == both.refusal("get_order", "{}") == NOT_ALLOWED
    assert both.refusal("search", "{}") is None
    assert both.refusal("search", "[]") == NO_OBJECT
    assert ToolPolicy(also=POLICY).refusal("send_mail", "{}", results=["search"]) == AFTER_UNTRUSTED


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("", None),
        ('{"a": "[[[[' + "[" * 100 + '"}', None),
        ("{", NO_OBJECT),
        ("[1]", NO_OBJECT),
        ('{"a": 1, "a": 2}', TWICE),
        ("[" * 200_000, TOO_DEEP),
        (json.dumps({"a": '\\"'}), None),
    ],
)
def test_arguments_are_one_object_that_every_reader_reads_alike(arguments: str, reason: str | None) -> None:
    assert POLICY.refusal("search", arguments) == reason


def test_arguments_are_valid_against_every_schema_of_a_name_that_fits() -> None:
    made = policy(arguments={"get_*": {"required": ["id"]}, "get_order": {"properties": {"id": {"type": "integer"}}}})
    assert made.refusal("get_order", '{"id": 1}') is None
    assert made.refusal("get_order", '{"id": "1"}') == NOT_VALID
    assert made.refusal("get_mail", '{"id": "1"}') is None
    assert made.refusal("get_mail", "") == NOT_VALID
    assert made.refusal("get_mail", '{"id": 1') == NO_OBJECT
    assert made.refusal("search", "{}") is None


def test_a_schema_of_arguments_that_is_none_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"arguments: search: properties\.q\.type: "):
        policy(arguments={"search": {"properties": {"q": {"type": "text"}}}})


def test_a_policy_that_cannot_be_meant_is_refused() -> None:
    assert policy(["a"]) == ToolPolicy(("a",))
    refusing_nothing: list[dict[str, Any]] = [
        {},
        {"privileged": []},
        {"privileged": ["send"], "untrusted_results": []},
    ]
    for nothing in refusing_nothing:
        with pytest.raises(ValueError, match="refuses nothing"):
            policy(**nothing)


def test_what_is_not_said_of_privileged_tools_is_taken_strictly() -> None:
    after_any = policy(privileged=["send"])
    assert after_any.refusal("send", "{}", ["calculate"]) == AFTER_UNTRUSTED
    assert after_any.refusal("send", "{}") is None
    assert after_any.refusal("search", "{}", ["calculate"]) is None
    all_others = policy(untrusted_results=["search", "mail_*"])
    assert all_others.refusal("get_order", "{}", ["search"]) == AFTER_UNTRUSTED
    assert all_others.refusal("mail_read", "{}", ["search"]) is None
    assert all_others.refusal("get_order", "{}", ["get_order"]) is None


def test_a_call_of_free_text_is_refused_by_its_name_and_where_a_schema_is_wanted() -> None:
    assert POLICY.refusal_of_text("rm") == NOT_ALLOWED
    assert POLICY.refusal_of_text("send_mail", ["search"]) == AFTER_UNTRUSTED
    assert POLICY.refusal_of_text("send_mail") is None
    both = POLICY.joined(policy(arguments={"get_*": {"type": "object"}}))
    assert both.refusal_of_text("get_order") == NO_OBJECT
    assert both.refusal("get_order", "{}") is None
