import json

import pytest

from guardrails.checks.tools import AFTER_UNTRUSTED, NO_OBJECT, NOT_ALLOWED, TOO_DEEP, TWICE, ToolPolicy, policy

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


def test_a_policy_that_cannot_be_meant_is_refused() -> None:
    assert policy(["a"]) == ToolPolicy(("a",))
    with pytest.raises(ValueError, match="untrusted_results is missing"):
        policy(privileged=["send"])
    with pytest.raises(ValueError, match="privileged is missing"):
        policy(untrusted_results=["search"])
    with pytest.raises(ValueError, match="refuses nothing"):
        policy()
