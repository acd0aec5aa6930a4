"""Calls become trajectories: by what they say where it was kept, else by the names they share."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.store.content import Content, Locked, Said
from gateway.store.records import Record
from gateway.store.trajectories import Trajectory, exported, trajectories
from tests.support.contents import a_content
from tests.support.journals import STARTED_NS, a_record

SECOND = 10**9
USER = {"role": "user", "content": "Weather in Oslo?"}


def tool_call(call_id: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}


ASKS = {"role": "assistant", "content": None, "tool_calls": [tool_call("call_1"), tool_call("call_2")]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "7 degrees"}
SAYS = {"role": "assistant", "content": "It is cold."}


def record(number: int, **fields: Any) -> Record:
    found = a_record(f"req_{number}", started_ns=STARTED_NS + number * SECOND, total_ms=400.0, charge_nanos=1_000)
    found.conversation = "c" * 32
    for name, value in fields.items():
        setattr(found, name, value)
    return found


def content(number: int, messages: list[dict[str, Any]], answer: dict[str, Any]) -> Content:
    asked = json.dumps({"model": "m", "messages": messages}).encode()
    said = json.dumps({"choices": [{"index": 0, "message": answer}]}).encode()
    return a_content(f"req_{number}", request=Said(asked, len(asked)), answer=Said(said, len(said)))


def joined(records: list[Record], *contents: Content | Locked) -> list[Trajectory]:
    known = {each.id: each for each in contents if isinstance(each, Content)}
    return list(trajectories(records, known))


def test_a_run_with_tools_is_told_step_by_step() -> None:
    first, second = content(1, [USER], ASKS), content(2, [USER, ASKS, RESULT], SAYS)
    (found,) = joined([record(1), record(2)], first, second)
    assert [len(step.said) for step in found.steps] == [1, 1]
    assert found.steps[1].said == [RESULT]
    done, open_ = found.steps[0].calls
    assert (done.name, done.arguments, done.result, done.took_ms) == ("weather", '{"city": "Oslo"}', "7 degrees", 600.0)
    assert (open_.result, open_.took_ms) == (None, None)
    assert (found.calls, found.charge_nanos, found.took_ms) == (2, 2_000, 1_400.0)
    assert found.messages == [USER, ASKS, RESULT, SAYS]


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (1, 2, 4, 3)])
def test_a_conversation_that_opens_alike_is_another(order: tuple[int, ...]) -> None:
    contents = [
        content(1, [USER], SAYS),
        content(2, [USER], ASKS),
        content(3, [USER, SAYS, {"role": "user", "content": "And now?"}], SAYS),
        content(4, [USER, ASKS, RESULT], SAYS),
    ]
    first, second = joined([record(number) for number in order], *contents)
    assert [step.record.id for step in first.steps] == ["req_1", "req_3"]
    assert [step.record.id for step in second.steps] == ["req_2", "req_4"]
    assert (first.id, second.id) == ("c" * 32, "c" * 32 + ":2")


def test_a_caller_that_leaves_out_what_was_said_goes_on_all_the_same() -> None:
    contents = [content(1, [USER], SAYS), content(2, [SAYS, {"role": "user", "content": "And now?"}], SAYS)]
    (found,) = joined([record(1), record(2)], *contents)
    assert len(found.steps) == 2


def test_without_content_there_are_steps_without_words() -> None:
    (found,) = joined([record(1), record(2, charge_nanos=None)])
    assert [step.known for step in found.steps] == [False, False]
    assert (found.calls, found.messages, found.charge_nanos) == (None, [], 1_000)
    assert exported(found)["content"] == "none"


def test_calls_of_one_trace_belong_together_and_those_of_another_tenant_do_not() -> None:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    records = [
        record(1, conversation="", traceparent=trace),
        record(2, conversation="", traceparent=trace, tenant="globex"),
        record(3, conversation="", traceparent=trace),
        record(4, conversation="", traceparent=""),
    ]
    acme, globex = joined(records)
    assert [step.record.id for step in acme.steps] == ["req_1", "req_3"]
    assert [step.record.id for step in globex.steps] == ["req_2"]
    assert acme.id == "a" * 32


def test_what_is_locked_says_why_and_what_cannot_be_read_is_not_known() -> None:
    found = next(trajectories([record(1), record(2)], {"req_1": Locked("no key"), "req_2": a_content("req_2")}))
    assert [(step.locked, step.known) for step in found.steps] == [("no key", False), ("", False)]
    assert [step["content"] for step in exported(found)["steps"]] == ["locked", "none"]


def test_a_trajectory_is_exported_as_messages_with_tool_calls_in_plain_json() -> None:
    first, second = content(1, [USER], ASKS), content(2, [USER, ASKS, RESULT], SAYS)
    (found,) = joined([record(1, end_user="joe"), record(2)], first, second)
    shown = json.loads(json.dumps(exported(found)))
    assert (shown["tenant"], shown["end_users"], shown["content"]) == ("acme", ["joe"], "all")
    assert shown["messages"][1]["tool_calls"][0]["function"]["name"] == "weather"
    assert shown["steps"][0]["tool_calls"][0]["result"] == "7 degrees"
    assert shown["steps"][1]["id"] == "req_2"


def test_a_run_goes_on_after_a_refused_request_as_if_that_had_not_been() -> None:
    first, third = content(1, [USER], ASKS), content(3, [USER, ASKS, RESULT], SAYS)
    refused = record(2, status=400, code="content_filter", end_user="ann")
    (found,) = joined([record(1, end_user="joe"), refused, record(3, end_user="joe")], first, third)
    assert found.messages == [USER, ASKS, RESULT, SAYS]
    assert found.steps[0].calls[0].result == "7 degrees"
    assert found.end_users == ["joe", "ann"]


def test_the_tools_a_model_was_last_told_of_are_exported_beside_the_messages() -> None:
    tool = {"type": "function", "function": {"name": "weather"}}
    asked = json.dumps({"model": "m", "messages": [USER], "tools": [tool]}).encode()
    told = msgspec.structs.replace(content(1, [USER], ASKS), request=Said(asked, len(asked)))
    (found,) = joined([record(1), record(2)], told)
    assert exported(found)["tools"] == [tool]
    (without,) = joined([record(1)], content(1, [USER], SAYS))
    assert "tools" not in exported(without)
