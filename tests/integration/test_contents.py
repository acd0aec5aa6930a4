"""What is said is kept where a policy asks for it: whole or streamed, masked or full, and of nobody else."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main as lockgate
from gateway.cli.trajectories import trajectories
from gateway.store import trajectories as joining
from gateway.store.content import MOST_BYTES, Content
from gateway.store.content_read import contents
from gateway.store.records import Record
from tests.integration.test_serve_crash import metric
from tests.support.agent_spans import a_span, as_json
from tests.support.contents import in_any_file
from tests.support.gateway_process import KEY, GatewayProcess, minimal, serving, until
from tests.support.running import run
from tests.support.running import until as until_true
from tests.support.screening import HIDES, JUDGES, MAIL, PUTS_BACK, TOOL, Checked, checked

FULL = {"record": "full", "retention_days": 7}
MASKED = {"record": "masked"}
SAID = f"Write to {MAIL} today"


class Kept:
    """In place of a worker's journal."""

    def __init__(self) -> None:
        self.kept = 0
        self.refused = 0
        self.all: list[Content] = []

    def keep(self, content: Content) -> bool:
        self.all.append(content)
        return True


def asking(
    folder: Path, scenario: Callable[[Checked], Awaitable[Any]], *chain: dict[str, Any], **settings: Any
) -> list[Content]:
    """What is kept of what a scenario asks."""

    async def all_of_it() -> list[Content]:
        async with checked(folder, *chain, **settings) as gateway:
            gateway.gateway.gw.contents = kept = Kept()
            await scenario(gateway)
            await until_true(lambda: gateway.gateway.gw.in_flight == 0, "requests end")
            return kept.all

    return run(all_of_it())


def pieces(stream: bytes) -> Iterator[str]:
    """What a stream's frames say, of a text or of the arguments of a tool call."""
    for line in stream.decode().split("\n\n"):
        if line.startswith("data: {"):
            for choice in json.loads(line.removeprefix("data: "))["choices"]:
                yield choice["delta"].get("content") or ""
                for call in choice["delta"].get("tool_calls", ()):
                    yield call["function"].get("arguments", "")


@pytest.mark.parametrize("stream", [False, True])
def test_full_content_is_what_the_caller_sent_and_got(tmp_path: Path, stream: bool) -> None:
    got: list[bytes] = []

    async def scenario(gateway: Checked) -> None:
        answer = await gateway.ask(SAID, stream=stream, user="joe")
        got.extend((answer.request.content, answer.content))

    (content,) = asking(tmp_path, scenario, PUTS_BACK, content=FULL)
    assert [content.request.data, content.answer.data] == got
    assert (content.tenant, content.end_user, content.endpoint, content.how, content.days) == (
        *("acme", "joe", "chat", "full", 7),
    )
    assert MAIL in json.loads(content.request.data)["messages"][0]["content"]
    assert MAIL.encode() in content.answer.data or stream


@pytest.mark.parametrize("tools", [{}, {"tools": [TOOL]}])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("masks", [HIDES, PUTS_BACK])
def test_masked_content_has_no_value_that_was_masked(
    tmp_path: Path, masks: dict[str, Any], stream: bool, tools: dict[str, Any]
) -> None:
    said = json.dumps({"to": MAIL}) if tools else SAID
    told: list[bytes] = []

    async def scenario(gateway: Checked) -> None:
        answer = await gateway.ask(said, stream=stream, **tools)
        assert answer.status_code == 200
        told.append(gateway.upstream.seen[-1].body)
        assert stream or (MAIL in answer.text) is (masks is PUTS_BACK)

    (content,) = asking(tmp_path, scenario, masks, content=MASKED, size=5)
    assert content.how == "masked"
    answer = "".join(pieces(content.answer.data)) if stream else content.answer.data.decode()
    assert "joe" not in content.request.data.decode() + answer
    assert "[EMAIL_ADDRESS" in answer
    assert json.loads(content.request.data)["messages"] == json.loads(told[0])["messages"]
    assert "[EMAIL_ADDRESS" in content.request.data.decode()


def test_nothing_is_kept_of_a_tenant_without_a_policy_or_of_what_was_refused(tmp_path: Path) -> None:
    async def scenario(gateway: Checked) -> None:
        assert (await gateway.ask(SAID)).status_code == 200

    assert asking(tmp_path / "a", scenario, PUTS_BACK) == []

    async def refused(gateway: Checked) -> None:
        assert (await gateway.ask(SAID, model="none")).status_code == 404

    assert asking(tmp_path / "b", refused, PUTS_BACK, content=FULL) == []


def test_nothing_is_kept_masked_when_a_check_did_not_look(tmp_path: Path) -> None:
    unmasked: list[int] = []

    async def scenario(gateway: Checked) -> None:
        assert (await gateway.ask(SAID)).status_code == 200
        await until_true(lambda: gateway.gateway.gw.in_flight == 0, "requests end")
        unmasked.append(gateway.gateway.gw.unmasked)

    names = {"check": "pii", "phase": "input", "action": "mask", "entities": ["PERSON"], "on_failure": "fail_open"}
    assert asking(tmp_path / "a", scenario, names, score=lambda text: "late", content=MASKED) == []
    judge = JUDGES | {"on_failure": "fail_open"}
    assert len(asking(tmp_path / "b", scenario, judge, HIDES, score=lambda text: "late", content=MASKED)) == 1
    assert unmasked == [1, 0]


def test_what_is_longer_than_is_kept_is_cut_and_marked(tmp_path: Path) -> None:
    async def scenario(gateway: Checked) -> None:
        for stream in (False, True):
            assert (await gateway.ask("x" * (MOST_BYTES + 1), stream=stream)).status_code == 200

    whole, streamed = asking(tmp_path, scenario, content=FULL, size=100_000)
    for content in (whole, streamed):
        for said in (content.request, content.answer):
            assert (len(said.data), said.cut) == (MOST_BYTES, True)
            assert said.size > MOST_BYTES


def test_of_a_caller_that_leaves_what_it_got_is_kept(tmp_path: Path) -> None:
    async def scenario(gateway: Checked) -> None:
        async with gateway.client.stream(
            "POST",
            "/v1/chat/completions",
            json={"model": "m", "stream": True, "messages": [{"role": "user", "content": "x" * 3_000_000}]},
        ) as answer:
            await anext(answer.aiter_raw())

    (content,) = asking(tmp_path, scenario, content=FULL, size=100_000)
    assert content.answer.data


# -- with real processes


def keeping(**more: Any) -> dict[str, Any]:
    found = minimal(**more)
    found["tenants"]["acme"]["content"] = FULL
    return found


def ids(gateway: GatewayProcess, count: int) -> list[str]:
    made = []
    for number in range(count):
        answer = gateway.chat(f"the plan of {number}")
        assert answer.status == 200
        made.append(answer.headers["x-request-id"])
    return made


def kicked(gateway: GatewayProcess) -> bool:
    """Has the keeper make a pass now."""
    pid = gateway.keeper_pid()
    if pid is not None:
        os.kill(pid, signal.SIGHUP)
    return True


def moved(gateway: GatewayProcess, count: int) -> None:
    """Waits until the keeper has moved so much."""
    until(lambda: kicked(gateway) and metric(gateway, "lockgate_content_rows") == count, f"{count} contents moved")


def test_content_is_found_before_and_after_the_keeper_moved_it_and_after_a_kill(tmp_path: Path) -> None:
    with serving(tmp_path, keeping()) as gateway:
        made = ids(gateway, 3)
        assert len(contents(gateway.state_dir, made, {})) == 3
        os.kill(gateway.worker_pids()[0], signal.SIGKILL)
        moved(gateway, 3)
        gateway.until_event("worker_ready", 2)
        made += ids(gateway, 2)
        moved(gateway, 5)
        found = contents(gateway.state_dir, made, {})
        assert [json.loads(found[one].request.data)["messages"][0]["content"] for one in made] == [  # type: ignore[union-attr]
            *("the plan of 0", "the plan of 1", "the plan of 2", "the plan of 0", "the plan of 1")
        ]
        until(lambda: metric(gateway, "lockgate_content_kept_total") >= 2, "what a worker kept is counted")
        assert in_any_file(gateway.state_dir, b"the plan of") == []
    assert len(contents(gateway.state_dir, made, {})) == 5


def said(*words: str) -> str:
    """What a command prints."""
    return CliRunner().invoke(lockgate, [*words]).output


def test_what_was_erased_is_in_no_file_and_no_command_shows_it(tmp_path: Path) -> None:
    with serving(tmp_path, keeping()) as gateway:
        place = ("--state-dir", str(gateway.state_dir))
        made = ids(gateway, 2)
        moved(gateway, 2)
        made += ids(gateway, 1)
        assert "the plan of 1" in said("records", "show", made[1], "--content", *place)
        with sqlite3.connect(gateway.state_dir / "content-keys") as database:
            (key,) = database.execute("SELECT locked FROM keys").fetchone()
        database.close()
        assert in_any_file(gateway.state_dir, key) == ["content-keys"]
        assert "1 key was destroyed" in said("records", "erase", "--tenant", "acme", "--yes", *place)
        assert in_any_file(gateway.state_dir, key) == []
        assert "the name is another" in said("records", "erase", "--tenant", "acmee", "--yes", *place)
        later = gateway.chat("what came later").headers["x-request-id"]
        moved(gateway, 3)
        for one in made:
            assert "is not kept" in said("records", "show", one, "--content", *place)
        assert "what came later" in said("records", "show", later, "--content", *place)
        shown = [
            *(said("records", "show", one, *place) for one in made),
            said("records", "list", *place),
            said("records", "export", "--format", "json", *place),
            said("journal", "show", *place),
            CliRunner().invoke(trajectories, ["export", *place]).output,
        ]
        assert "the plan of" not in "".join(shown)
        assert all(one in shown[4] and one in shown[6] for one in made)
        assert "what came later" in shown[6]
        assert "erasure acme" in said("changes", "list", *place)
        assert in_any_file(gateway.state_dir, b"the plan of") == []


@pytest.mark.parametrize("stream", [False, True])
def test_an_agents_run_is_read_back_as_it_went(tmp_path: Path, stream: bool) -> None:
    user = {"role": "user", "content": '{"city": "Oslo"}'}
    results: list[Record] = []

    async def scenario(gateway: Checked) -> None:
        for _ in range(2):  # another run that opens alike
            first = await gateway.ask("", messages=[user], tools=[TOOL], stream=stream)
            assert first.status_code == 200
            call = {"id": "call_1", "type": "function", "function": {"name": "send", "arguments": user["content"]}}
            asks = {"role": "assistant", "content": None, "tool_calls": [call]}
            result = {"role": "tool", "tool_call_id": "call_1", "content": "7 degrees"}
            assert (await gateway.ask("", messages=[user, asks, result], stream=stream)).status_code == 200
        await until_true(lambda: gateway.gateway.gw.in_flight == 0, "requests end")
        results.extend(gateway.gateway.records())

    kept = asking(tmp_path, scenario, content=FULL)
    runs = list(joining.trajectories(results, {content.id: content for content in kept}))
    assert len(runs) == 2
    for run_ in runs:
        assert [message["role"] for message in run_.messages] == ["user", "assistant", "tool", "assistant"]
        (call,) = run_.steps[0].calls
        assert (call.name, call.arguments, call.result) == ("send", user["content"], "7 degrees")
        assert call.took_ms is not None
        assert run_.messages[-1]["content"] == "7 degrees"


def test_a_callers_own_conversation_is_on_record_without_a_policy(tmp_path: Path) -> None:
    names: list[str] = []

    async def scenario(gateway: Checked) -> None:
        for headers in ({"x-lockgate-conversation-id": "c1"}, {"x-lockgate-conversation-id": "c1"}, {}):
            body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
            assert (await gateway.client.post("/v1/chat/completions", json=body, headers=headers)).status_code == 200
        await until_true(lambda: gateway.gateway.gw.in_flight == 0, "requests end")
        names.extend(record.conversation for record in gateway.gateway.records())

    assert asking(tmp_path, scenario) == []
    assert names[0] == names[1] != ""
    assert names[2] == ""


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_said_is_in_the_clear_in_no_file_log_metric_or_error(tmp_path: Path, kept: bool) -> None:
    """Prompts, answers, agents' spans and bodies that are refused, while they wait, when they are stored, and after a
    worker was killed."""
    marker = "the-unspeakable-marker"
    chat = {"model": "small", "messages": [{"role": "user", "content": marker}]}
    span = a_span("b7ad6b7169203331", attributes={"gen_ai.prompt": marker, "error.message": marker})
    bodies: list[tuple[str, Any]] = [
        ("/v1/chat/completions", chat),
        ("/v1/chat/completions", chat | {"stream": True}),
        ("/v1/chat/completions", chat | {"temperature": marker, "max_tokens": marker}),
        ("/v1/chat/completions", chat | {"model": "none"}),
        ("/v1/completions", {"model": "small", "prompt": marker}),
        ("/v1/completions", {"model": "small", "prompt": marker, "stream": True}),
        ("/v1/messages", chat | {"max_tokens": 9}),
        ("/v1/messages", chat | {"max_tokens": 9, "stream": True}),
        ("/v1/responses", {"model": "small", "input": marker}),
        ("/v1/responses", {"model": "small", "input": marker, "stream": True}),
        ("/v1/embeddings", {"model": "small", "input": marker}),
        ("/v2/models/small/infer", {"inputs": [{"name": marker, "datatype": "BYTES", "shape": [1], "data": [marker]}]}),
        ("/v1/traces", json.loads(as_json([span]))),
        ("/v1/traces", {"resourceSpans": marker}),
    ]
    config = keeping() if kept else minimal()
    with serving(tmp_path, config | {"telemetry": {"log_level": "debug"}}) as gateway:
        for path, body in bodies:
            for data in (json.dumps(body).encode(), json.dumps(body).encode()[:-1]):  # whole, and not JSON
                answer = gateway.request(
                    "POST", path, data, authorization=f"Bearer {KEY}", content_type="application/json"
                )
                assert answer.status == 200 or marker.encode() not in answer.body, (path, answer.body)
        assert in_any_file(gateway.state_dir, marker.encode()) == [], "while it waits"
        os.kill(gateway.worker_pids()[0], signal.SIGKILL)
        gateway.until_event("worker_ready", 2)
        until(lambda: kicked(gateway) and metric(gateway, "lockgate_agent_spans") == 1, "the span in its table")
        if kept:
            until(lambda: kicked(gateway) and metric(gateway, "lockgate_content_rows") >= 6, "content in its table")
        assert in_any_file(gateway.state_dir, marker.encode()) == []
        assert marker not in gateway.request("GET", "/metrics", ops=True).body.decode()
        assert marker not in gateway.logged()
    assert in_any_file(gateway.state_dir, marker.encode()) == []
    assert marker not in gateway.logged()
    private = [path for name in ("content*", "traces") for path in gateway.state_dir.glob(name)]
    assert [path.name for path in private if path.stat().st_mode & 0o077] == [], "nobody else may look in"
