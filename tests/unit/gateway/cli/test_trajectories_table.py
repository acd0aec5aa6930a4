from __future__ import annotations

from typing import Any

from gateway.cli import trajectories_table
from gateway.store.trajectories import Step, ToolCall, Trajectory
from tests.support.journals import a_record

LONG = "word " * 200


def a_trajectory() -> Trajectory:
    record = a_record(
        tenant="a-tenant-with-a-long-name", end_user="j\x1boe", verdicts="input:pii:EMAIL_ADDRESS:mask:1.00:2"
    )
    called = ToolCall("call_1", "weather", '{"city": "Oslo", "note": "' + LONG, "7 degrees", 210.0)
    answer = {"role": "assistant", "content": LONG, "reasoning_content": "Hm.\x07"}
    first = Step(record, [{"role": "user", "content": LONG}], answer, [called], known=True)
    return Trajectory("c" * 32 + ":12", [first, Step(record, locked="no key"), Step(record)])


def test_a_list_fits_100_columns_with_its_ids_whole() -> None:
    lines = list(trajectories_table.listed([a_trajectory()] * 2))
    assert max(map(len, lines)) <= 100
    assert "c" * 32 + ":12" in lines[2]
    assert list(trajectories_table.listed([])) == []


def test_the_steps_of_one_fit_100_columns_and_move_no_cursor() -> None:
    lines = list(trajectories_table.whole(a_trajectory()))
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 100
    assert not {"\x1b", "\x07"} & set(text)
    for part in (
        "tool call  weather",
        "→ after 210 ms: 7 degrees",
        "locked     no key",
        "content    not kept",
        "checks     input:pii",
    ):
        assert part in text


def test_tools_that_were_asked_for_before_the_first_step_are_shown_with_their_results() -> None:
    call = {"id": "old", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    before: list[dict[str, Any]] = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "old", "content": "noon"},
    ]
    step = Step(a_record(end_user="ann"), before, {"role": "assistant", "content": "Lunch."}, known=True)
    lines = list(trajectories_table.whole(Trajectory("c" * 32, [step, Step(a_record(end_user="bob"))])))
    assert lines[0].endswith("end users ann, bob")
    at = lines.index("    tool call  clock {}")
    assert lines[at + 1 : at + 3] == ["               → noon", "    assistant  Lunch."]
