"""An answer that checks have ended: its backend is hung up on, and what it made until then is paid for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.offload.client import Done
from guardrails.check import Need
from tests.support import responses_events
from tests.support.anthropic_events import accumulate
from tests.support.gateway import Meters
from tests.support.metered import MODELS, events, metering, produced, text_of, usd
from tests.support.running import run, until
from tests.support.screening import FORBIDS, SENTENCES, Asked, checked, streamed
from tests.support.server_process import ServerProcess, scripted_fake
from tests.support.upstream import STREAM_HEAD, Talk, chunk

TOKENS = 100_000
SCRIPT = f"""
rules:
  - {{match: "", answer: "Then buy plutonium. ", tokens: {TOKENS}, tokens_per_s: 200}}
"""
ENDED = FORBIDS | {"phase": "output"}
UNMETERED: tuple[Meters, Any] = ({}, {"m": {"backend": "b", "served_model": "served"}})
METERED: tuple[Meters, Any] = ({"acme": [usd(10**12)]}, MODELS)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Says the same for some eight minutes."""
    with scripted_fake(tmp_path_factory.mktemp("fake"), SCRIPT) as server:
        yield server


def aborted(fake: ServerProcess) -> int:
    """How many requests the fake saw the end of because their caller hung up."""
    with fake.client() as client:
        stats = client.get("/fake/stats").json()
        assert stats["active"] in (0, 1)
        return int(stats["aborted"])


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses"])
@pytest.mark.parametrize("metered", [False, True])
def test_a_backend_whose_answer_is_blocked_is_hung_up_on(
    fake: ServerProcess, tmp_path: Path, path: str, metered: bool
) -> None:
    async def main() -> None:
        meters, models = METERED if metered else UNMETERED
        before = aborted(fake)
        async with metering(fake, tmp_path, meters, models=models, chain=[ENDED]) as gateway:
            most: dict[str, Any] = {"max_output_tokens" if path == "/v1/responses" else "max_tokens": TOKENS}
            answer = await gateway.ask(path=path, stream=True, **most)
            assert answer.status_code == 200, answer.text
            assert said(path, answer.content) == ("Then buy ", True)
            await until(lambda: aborted(fake) == before + 1, "the fake is hung up on")
            record = await gateway.last()
            assert (record.outcome, record.code) == ("answered", "ok")
            assert record.answer_bytes == len(answer.content)
            assert record.verdicts == "output:keywords:arms:block:1.00:1"
            if not metered:
                assert record.output_tokens is None  # nobody counts them
                return
            (made,) = produced(fake, record.id)
            assert record.usage_from == "running"
            assert record.input_tokens is not None
            assert record.output_tokens is not None
            assert record.input_tokens == made["input_tokens"]
            assert 0 < record.output_tokens <= made["output_tokens"] < TOKENS
            assert record.output_tokens + record.waste_tokens <= made["output_tokens"]
            assert record.charge_nanos == record.input_tokens * 10 + record.output_tokens * 1000
            assert gateway.spent("tenant:acme|usd|lifetime|") == record.charge_nanos

    run(main())


def said(path: str, answer: bytes) -> tuple[str, bool]:
    """What a stream said, and whether it was ended by checks."""
    if path == "/v1/messages":
        message = accumulate(answer)
        return message["content"][0]["text"], message["stop_reason"] == "refusal"
    if path == "/v1/responses":
        told = responses_events.accumulate(answer)
        return told["output"][0]["content"][0]["text"], told["incomplete_details"] == {"reason": "content_filter"}
    assert answer.endswith(b"data: [DONE]\n\n")
    choices = [each["choices"][0] for each in events(answer) if each["choices"]]
    text = "".join(each["text"] for each in choices) if path == "/v1/completions" else text_of(answer)
    return text, [each["finish_reason"] for each in choices if each["finish_reason"]] == ["content_filter"]


def test_a_caller_that_asks_for_usage_gets_what_was_counted(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        meters, models = METERED
        async with metering(fake, tmp_path, meters, models=models, chain=[ENDED]) as gateway:
            answer = await gateway.ask(stream=True, max_tokens=TOKENS, stream_options={"include_usage": True})
            (told,) = [each for each in events(answer.content) if each.get("usage")]
            record = await gateway.last()
            assert told["choices"] == []
            assert told["usage"]["prompt_tokens"] == record.input_tokens
            assert told["usage"]["completion_tokens"] == record.output_tokens
            assert told["lockgate"]["cost_usd"] == f"0.{record.charge_nanos:09d}"

    run(main())


def test_a_backend_is_hung_up_on_when_an_answer_that_is_late_blocks(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        meters, models = METERED
        waiting = asyncio.Event()
        asked: list[Done] = []

        class Late(Asked):
            def ask(self, need: Need, deadline_ms: int | None, done: Done) -> None:
                asked.append(done)
                waiting.set()

        before = aborted(fake)
        async with metering(fake, tmp_path, meters, models=models, chain=[SENTENCES]) as gateway:
            gateway.running.gw.checks = Late(lambda text: 0.0)
            asking = asyncio.ensure_future(gateway.ask(stream=True, max_tokens=TOKENS))
            await waiting.wait()
            assert aborted(fake) == before
            asked[0](0.9, "")
            answer = await asking
            assert said("/v1/chat/completions", answer.content) == ("", True)
            await until(lambda: aborted(fake) == before + 1, "the fake is hung up on")
            assert (await gateway.last()).usage_from == "running"

    run(main())


@pytest.mark.parametrize("both", [False, True])
def test_of_two_choices_both_must_be_blocked(tmp_path: Path, both: bool) -> None:
    def piece(index: int, text: str, finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
        return chunk(b"data: %b\n\n" % json.dumps({"id": "c1", "choices": [choice]}).encode())

    async def script(talk: Talk) -> None:
        await talk.send(STREAM_HEAD + piece(0, "plutonium. ") + piece(1, "peace "))
        if both:
            await talk.send(piece(1, "plutonium. "))
            await talk.caller_left()
        else:
            await talk.send(piece(0, "more of it") + piece(1, "and quiet", "stop") + chunk(b"data: [DONE]\n\n"))
            await talk.send(b"0\r\n\r\n")

    async def main() -> None:
        async with checked(tmp_path, ENDED, script=script) as gateway:
            answer = await gateway.ask("hi", stream=True, n=2)
            content, finish = streamed(answer)
            assert content == {0: "", 1: "peace " if both else "peace and quiet"}
            assert finish == {0: "content_filter", 1: "content_filter" if both else "stop"}
            if both:
                await gateway.upstream.aborted.wait()
            await until(lambda: gateway.gateway.gw.in_flight == 0, "requests end")
            assert gateway.gateway.gw.backends["b"].endpoints[0].view.outstanding == 0

    run(main())


def event(data: dict[str, Any]) -> bytes:
    """One of Anthropic's or of Responses'."""
    return chunk(b"event: %b\ndata: %b\n\n" % (data["type"].encode(), json.dumps(data).encode()))


MESSAGE = [
    {
        "type": "message_start",
        "message": {
            "id": "m1",
            "type": "message",
            "role": "assistant",
            "content": [],
            "model": "served",
            "usage": {"input_tokens": 7, "output_tokens": 0},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Then buy plutonium."}},
]
_ITEM = {"id": "i1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
_AT = {"item_id": "i1", "output_index": 0, "content_index": 0}
_PART = {"type": "output_text", "text": "", "annotations": []}
RESPONSE = [
    {
        "type": "response.created",
        "response": {"id": "r1", "object": "response", "status": "in_progress", "output": [], "model": "served"},
    },
    {"type": "response.output_item.added", "output_index": 0, "item": _ITEM},
    {"type": "response.content_part.added", **_AT, "part": _PART},
    {"type": "response.output_text.delta", **_AT, "delta": "Then buy plutonium.", "logprobs": []},
]


@pytest.mark.parametrize(("path", "said_natively"), [("/v1/messages", MESSAGE), ("/v1/responses", RESPONSE)])
def test_an_answer_whose_format_counts_only_at_its_end_is_paid_for_by_what_it_said(
    tmp_path: Path, path: str, said_natively: list[dict[str, Any]]
) -> None:
    async def script(talk: Talk) -> None:
        await talk.send(STREAM_HEAD + b"".join(event(each) for each in said_natively))
        await talk.caller_left()

    async def main() -> None:
        meters, models = METERED
        async with checked(tmp_path, ENDED, script=script, models=models, meters=meters) as gateway:
            turns = [{"role": "user", "content": "hi"}]
            asked = {"messages": turns, "max_tokens": 500} if path == "/v1/messages" else {"input": turns}
            answer = await gateway.client.post(path, json={"model": "m", "stream": True, **asked})
            assert said(path, answer.content) == ("Then buy ", True)
            await gateway.upstream.aborted.wait()
            await until(lambda: gateway.gateway.gw.in_flight == 0, "requests end")
            record = gateway.gateway.records()[-1]
            assert (record.outcome, record.code, record.usage_from) == ("answered", "ok", "bound")
            assert record.input_tokens == (7 if path == "/v1/messages" else record.held_input)
            assert record.input_tokens is not None
            assert record.output_tokens == len("Then buy plutonium.")
            assert record.charge_nanos == record.input_tokens * 10 + record.output_tokens * 1000

    run(main())
