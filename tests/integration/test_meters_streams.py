"""Streams that are metered while they run, in front of the real fake server: held in steps, cut, and paid for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from gateway.backends.base import DIALECTS
from gateway.store.meters_memory import MeterMemory
from tests.support.gateway import KEY, STREAM, Meters, config, post
from tests.support.gateway import serving as serving_app
from tests.support.metered import MODELS, events, metering, produced, text_of, usd
from tests.support.running import run, until
from tests.support.server_process import ServerProcess, serving
from tests.support.upstream import FRAMES, STREAM_HEAD, Talk, Upstream, chunk

SCRIPT = """
rules:
  - {match: "long", answer: word, tokens: 400, tokens_per_s: 50}
  - {match: "endless", answer: word, tokens: 100000, tokens_per_s: 400}
  - {match: "short", answer: "one two three"}
  - {match: "silent", answer: "one two three", usage: false}
  - {match: "mad", answer: word, tokens: 400, usage: {completion_tokens: 1000000000}, tokens_per_s: 2000}
  - {match: "mute", answer: word, tokens: 400, usage: false, tokens_per_s: 2000}
  - {match: "absurd", answer: "one two three", usage: {completion_tokens: 1000000000}}
  - {match: "busy", status: 503}
  - {match: "slow", answer: word, delay_ms: 500}
"""
UNPRICED = {"m": {"backend": "b", "served_model": "served"}}
TENANT = "tenant:acme|usd|lifetime|"


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    script = tmp_path_factory.mktemp("fake") / "script.yaml"
    script.write_text(SCRIPT)
    with serving("gateway.backends.fake", "--script", str(script)) as server:
        yield server


def test_a_stream_is_charged_and_its_running_usage_stays_hidden(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**12)]}) as gateway:
            answer = await gateway.ask("short", stream=True)
            assert b"usage" not in answer.content
            assert answer.content.endswith(b"data: [DONE]\n\n")
            assert text_of(answer.content) == "one two three"
            record = await gateway.last()
            (made,) = produced(fake, record.id)
            assert record.output_tokens == made["output_tokens"]
            assert record.charge_nanos == made["input_tokens"] * 10 + made["output_tokens"] * 1000
            assert (record.waste_tokens, record.usage_from) == (0, "running")

    run(main())


def test_a_stream_whose_caller_asks_for_usage_says_what_it_cost(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**12)]}) as gateway:
            answer = await gateway.ask("short", stream=True, stream_options={"include_usage": True})
            told = [frame for frame in events(answer.content) if "usage" in frame]
            record = await gateway.last()
            assert [frame["lockgate"]["cost_usd"] for frame in told] == [f"0.{record.charge_nanos:09d}"]
            assert told[0]["lockgate"]["budget_remaining_usd"].startswith("999.")

    run(main())


@pytest.mark.parametrize("stream", [True, False])
def test_the_sdk_of_openai_takes_a_cut_answer_for_one_that_is_too_long(
    fake: ServerProcess, tmp_path: Path, stream: bool
) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [{"cap": "70 output_tokens", "window": "day"}]}) as gateway:
            sdk = openai.AsyncOpenAI(base_url=gateway.running.url + "/v1", api_key=KEY, max_retries=2)
            asked: Any = {"model": "m", "messages": [{"role": "user", "content": "long"}]}
            create: Any = sdk.chat.completions.create
            if stream:
                found = await create(**asked, stream=True, stream_options={"include_usage": True})
                chunks = [chunk async for chunk in found]
                assert chunks[-2].choices[0].finish_reason == "length"
                assert chunks[-1].usage.completion_tokens == 70
            else:
                whole = await create(**asked)
                assert whole.choices[0].finish_reason == "length"
                assert whole.usage.completion_tokens == 70
            with pytest.raises(openai.RateLimitError, match="output_tokens in a day is used up"):
                await create(**asked)  # not tried again: x-should-retry says so
            assert len(gateway.running.records()) == 2
            await sdk.close()

    run(main())


def test_the_sdk_of_anthropic_takes_a_cut_answer_for_one_that_is_too_long(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [{"cap": "70 output_tokens", "window": "day"}]}) as gateway:
            sdk = anthropic.AsyncAnthropic(base_url=gateway.running.url, api_key=KEY, max_retries=2)
            asked: Any = {"model": "m", "max_tokens": 300, "messages": [{"role": "user", "content": "long"}]}
            async with sdk.messages.stream(**asked) as stream:
                whole = await stream.get_final_message()
            assert (whole.stop_reason, whole.usage.output_tokens) == ("max_tokens", 70)
            with pytest.raises(anthropic.RateLimitError):
                await sdk.messages.create(**asked)
            assert len(gateway.running.records()) == 2
            await sdk.close()

    run(main())


def test_a_stream_is_cut_cleanly_when_the_money_ends(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(150_000)]}) as gateway:
            answer = await gateway.ask("long", stream=True, stream_options={"include_usage": True})
            assert answer.status_code == 200
            frames = events(answer.content)
            record = await gateway.last()
            assert frames[-2]["choices"][0]["finish_reason"] == "length"
            assert frames[-1]["choices"] == []
            told = frames[-1]["lockgate"]
            assert (told["cut"], told["meter"]) == ("budget", TENANT)
            assert told["cost_usd"] == f"0.{record.charge_nanos:09d}"
            assert frames[-1]["usage"]["completion_tokens"] == record.output_tokens
            assert answer.content.endswith(b"data: [DONE]\n\n")
            (made,) = produced(fake, record.id)
            assert made["ended"] == "left"
            assert (record.output_tokens or 0) + record.waste_tokens == made["output_tokens"]
            assert text_of(answer.content).count("word") == record.output_tokens
            assert record.waste_tokens <= 64
            assert record.action == "cut"
            assert 0 < gateway.spent(TENANT) <= 150_000
            assert gateway.spent(TENANT) == record.charge_nanos
            while (again := await gateway.ask("long")).status_code == 200:  # what the bound of the input had held
                assert again.json()["choices"][0]["finish_reason"] == "length"
            assert again.status_code == 429
            assert again.json()["error"]["code"] == "insufficient_quota"
            assert again.headers["x-should-retry"] == "false"
            assert again.headers["x-lockgate-budget-remaining-usd"].startswith("0.00000")
            record = await gateway.last()
            assert (record.outcome, record.action) == ("refused", f"refused:{TENANT}")
            assert record.readings[0][0] == TENANT
            assert gateway.spent(TENANT) <= 150_000

    run(main())


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {}),
        ("/v1/completions", {}),
        ("/v1/messages", {"max_tokens": 500}),
        ("/v1/responses", {}),
    ],
)
def test_every_format_is_cut_at_the_same_token(
    fake: ServerProcess, tmp_path: Path, path: str, fields: dict[str, Any]
) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [{"cap": "100 output_tokens", "window": "lifetime"}]}) as gateway:
            answer = await gateway.ask("long", path=path, stream=True, **fields)
            assert answer.status_code == 200
            assert b"event: error" not in answer.content
            assert answer.content.count(b"word") >= 100
            record = await gateway.last()
            (made,) = produced(fake, record.id)
            assert record.output_tokens == 100
            assert record.waste_tokens == made["output_tokens"] - 100
            assert (record.outcome, record.code, record.action) == ("answered", "ok", "cut")
            assert record.charge_nanos is not None  # the model has a price
            refused = await gateway.ask("long", path=path, stream=True, **fields)
            assert refused.status_code == 429

    run(main())


def test_a_stream_that_counts_nothing_is_held_by_the_bytes_it_says(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**12)]}) as gateway:
            answer = await gateway.ask("silent", stream=True)
            assert text_of(answer.content) == "one two three"
            record = await gateway.last()
            assert (record.usage_from, record.output_tokens) == ("bound", len("one two three"))
            assert record.charge_nanos == gateway.spent(TENANT) > 0
        async with metering(fake, tmp_path, {"acme": [usd(120_000)]}) as gateway:
            answer = await gateway.ask("mute", stream=True)
            assert events(answer.content)[-1]["choices"][0]["finish_reason"] == "length"
            assert 0 < gateway.spent(TENANT) <= 120_000

    run(main())


def test_a_stream_whose_counts_cannot_be_is_cut_by_the_bytes_it_says(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(120_000)]}) as gateway:
            answer = await gateway.ask("mad", stream=True)
            assert events(answer.content)[-1]["choices"][0]["finish_reason"] == "length"
            record = await gateway.last()
            assert (record.usage_from, record.action) == ("bound", "cut")
            assert len(text_of(answer.content)) == record.output_tokens
            assert gateway.spent(TENANT) == record.charge_nanos
            assert 0 < gateway.spent(TENANT) <= 120_000

    run(main())


def test_absurd_usage_of_a_stream_is_settled_as_held_too(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**9)]}) as gateway:
            assert (await gateway.ask("absurd", max_tokens=50, stream=True)).status_code == 200
            record = await gateway.last()
            assert record.charge_nanos is not None
            assert record.charge_nanos <= record.held_nanos
            assert gateway.spent(TENANT) == record.charge_nanos

    run(main())


def test_what_a_caller_that_left_had_made_is_charged_to_it(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**12)]}) as gateway:
            body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "endless"}]}
            async with gateway.client.stream("POST", "/v1/chat/completions", json=body) as answer:
                async for data in answer.aiter_bytes():
                    if b"word" in data:
                        break
            record = await gateway.last()
            assert record.outcome == "cancelled"
            (made,) = produced(fake, record.id)
            assert record.output_tokens is not None
            assert record.output_tokens + record.waste_tokens == made["output_tokens"] > 0
            assert record.charge_nanos == made["input_tokens"] * 10 + made["output_tokens"] * 1000
            assert gateway.spent(TENANT) == record.charge_nanos

    run(main())


def test_absurd_counts_for_a_caller_that_left_before_the_first_byte_are_not_believed(tmp_path: Path) -> None:
    async def mad(talk: Talk) -> None:
        await talk.caller_left()
        told = b',"usage":{"prompt_tokens":3,"completion_tokens":1000000000,"total_tokens":1000000003}}'
        await talk.send(STREAM_HEAD)
        for frame in FRAMES[:3]:
            await talk.send(chunk(frame.rstrip()[:-1] + told + b"\n\n"))
        talk.close()

    async def main() -> None:
        async with (
            Upstream([mad]) as upstream,
            serving_app(config({"b": [upstream.url]}, MODELS, meters={"acme": [usd(10**9)]}), tmp_path) as gateway,
        ):
            gateway.gw.backends["b"].dialect = DIALECTS["fake"]
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(post({**STREAM, "max_tokens": 50}))
            await upstream.arrived.wait()
            writer.close()
            await until(lambda: gateway.gw.in_flight == 0, "the request ends")
            (record,) = gateway.records()
            assert (record.outcome, record.usage_from, record.output_tokens) == ("cancelled", "bound", 0)
            assert record.waste_tokens == len("hello")
            assert gateway.gw.leasing is not None
            assert record.charge_nanos is not None
            assert gateway.gw.leasing.leases.buckets[TENANT].total == record.charge_nanos <= record.held_nanos

    run(main())


def test_a_stream_that_is_refused_for_want_of_a_record_costs_nothing(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**12)]}) as gateway:
            gateway.running.gw.journal.accepts_new = False
            answer = await gateway.ask("short", stream=True)
            assert answer.json()["error"]["code"] == "store_unavailable"
            await until(lambda: gateway.running.gw.in_flight == 0, "it ends")
            assert gateway.spent(TENANT) == 0
            gateway.running.gw.journal.accepts_new = True

    run(main())


def test_a_refusal_by_a_meter_that_cannot_be_recorded_is_told_as_the_want_of_room(
    fake: ServerProcess, tmp_path: Path
) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(0)]}) as gateway:
            assert (await gateway.ask("short")).status_code in (402, 429)
            gateway.running.gw.journal.accepts_new = False
            answer = await gateway.ask("short")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
            gateway.running.gw.journal.accepts_new = True

    run(main())


def test_that_no_endpoint_is_in_service_is_told_as_the_want_of_room_too(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**9)]}) as gateway:
            (endpoint,) = gateway.running.gw.backends["b"].endpoints
            endpoint.drained = True
            assert (await gateway.ask("short")).json()["error"]["code"] == "no_endpoint"
            gateway.running.gw.journal.accepts_new = False
            answer = await gateway.ask("short")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
            gateway.running.gw.journal.accepts_new = True

    run(main())


def test_a_stream_whose_attempts_fail_costs_nothing(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**12)]}) as gateway:
            assert (await gateway.ask("busy", stream=True)).status_code >= 500
            record = await gateway.last()
            assert (record.charge_nanos, record.usage_from) == (0, "none")
            assert gateway.spent(TENANT) == 0

    run(main())


def test_two_workers_share_one_budget_and_never_overshoot_it(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        memory = MeterMemory()
        meters: Meters = {"acme": [usd(2_000_000)]}
        async with (
            metering(fake, tmp_path / "one", meters, memory=memory) as one,
            metering(fake, tmp_path / "two", meters, memory=memory) as two,
        ):
            asked = [each.ask("long", stream=True, max_tokens=300) for each in (one, two) for _ in range(12)]
            answers = await asyncio.gather(*asked)
            assert {answer.status_code for answer in answers} <= {200, 429}
            await one.last()
            await two.last()
            records = [*one.running.records(), *two.running.records()]
            charged = sum(record.charge_nanos or 0 for record in records)
            assert 1_900_000 < charged <= 2_000_000
            assert one.spent(TENANT) + two.spent(TENANT) == charged

    run(main())
