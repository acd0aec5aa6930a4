"""What the last frame of a stream says it cost, and that official clients take it, in every format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from gateway.store.records import Record
from tests.support.gateway import KEY, Meters
from tests.support.metered import At, Metered, metering, usd
from tests.support.running import run
from tests.support.server_process import ServerProcess, serving
from tests.support.upstream import STREAM_HEAD, Upstream, chunk, says
from tests.support.wire_samples import SAMPLES

RICH: Meters = {"acme": [usd(10**12)]}
CUT: Meters = {"acme": [{"cap": "90 output_tokens", "window": "lifetime"}]}
DIALECT = pytest.mark.parametrize("dialect", ["fake", "provider"])
"""One whose streams are metered as they run, and one whose are not."""


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    script = tmp_path_factory.mktemp("fake") / "script.yaml"
    script.write_text("rules:\n  - {match: long, answer: word, tokens: 400}\n  - {answer: one two three}\n")
    with serving("gateway.backends.fake", "--script", str(script)) as server:
        yield server


def cost(record: Record) -> str:
    assert record.charge_nanos
    return f"0.{record.charge_nanos:09d}"


def comment(answer: bytes) -> dict[str, Any]:
    """What the comment before `[DONE]` tells."""
    last, done = answer.split(b"\n\n")[-3:-1]
    assert done == b"data: [DONE]"
    assert last.startswith(b": lockgate ")
    told: dict[str, Any] = json.loads(last.removeprefix(b": lockgate "))
    return told


def sdk_of(gateway: Metered) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=gateway.running.url + "/v1", api_key=KEY, max_retries=0)


@DIALECT
def test_of_a_chat_that_asks_for_no_usage_a_comment_says_it(fake: ServerProcess, tmp_path: Path, dialect: str) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, RICH, dialect=dialect) as gateway:
            answer = await gateway.ask(stream=True)
            told = comment(answer.content)
            assert told["cost_usd"] == cost(await gateway.last())
            assert told["budget_remaining_usd"].startswith("999.")
            assert b'"usage"' not in answer.content
            async with sdk_of(gateway) as sdk:
                said: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
                chunks = [each async for each in await sdk.chat.completions.create(**said)]
                assert chunks[-1].choices[0].finish_reason == "stop"
                texts = [each async for each in await sdk.completions.create(model="m", prompt="hi", stream=True)]
                assert texts[-1].choices[0].finish_reason == "stop"

    run(main())


@DIALECT
def test_of_a_chat_that_asks_for_its_usage_the_usage_frame_says_it(
    fake: ServerProcess, tmp_path: Path, dialect: str
) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, RICH, dialect=dialect) as gateway, sdk_of(gateway) as sdk:
            said: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
            asked = await sdk.chat.completions.create(**said, stream_options={"include_usage": True})
            chunks: list[Any] = [each async for each in asked]
            assert chunks[-1].usage.completion_tokens == (await gateway.last()).output_tokens
            assert chunks[-1].lockgate["cost_usd"] == cost(await gateway.last())
            answer = await gateway.ask(stream=True, stream_options={"include_usage": True})
            assert answer.content.count(b"lockgate") == 1

    run(main())


@DIALECT
def test_of_a_message_that_is_translated_its_last_event_says_it(
    fake: ServerProcess, tmp_path: Path, dialect: str
) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, RICH, dialect=dialect) as gateway:
            sdk = anthropic.AsyncAnthropic(base_url=gateway.running.url, api_key=KEY, max_retries=0)
            asked: Any = {"model": "m", "max_tokens": 30, "messages": [{"role": "user", "content": "hi"}]}
            events: list[Any] = [each async for each in await sdk.messages.create(**asked, stream=True)]
            assert events[-1].type == "message_stop"
            assert events[-1].lockgate["cost_usd"] == cost(await gateway.last())
            async with sdk.messages.stream(**asked) as stream:
                whole = await stream.get_final_message()
            assert (whole.stop_reason, whole.content[0].text) == ("end_turn", "one two three")  # type: ignore[union-attr]
            await sdk.close()

    run(main())


@DIALECT
def test_of_a_response_that_is_translated_its_last_event_says_it(
    fake: ServerProcess, tmp_path: Path, dialect: str
) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, RICH, dialect=dialect) as gateway, sdk_of(gateway) as sdk:
            events: list[Any] = [each async for each in await sdk.responses.create(model="m", input="hi", stream=True)]
            assert events[-1].type == "response.completed"
            assert events[-1].lockgate["cost_usd"] == cost(await gateway.last())
            async with sdk.responses.stream(model="m", input="hi") as stream:
                assert (await stream.get_final_response()).output_text == "one two three"

    run(main())


@pytest.mark.parametrize(
    ("path", "sample", "last"),
    [
        ("/v1/messages", "messages_stream.sse", "message_stop"),
        ("/v1/responses", "responses_stream.sse", "response.completed"),
    ],
)
def test_of_an_answer_that_passes_in_its_own_format_too(tmp_path: Path, path: str, sample: str, last: str) -> None:
    events = (SAMPLES / "vllm" / sample).read_bytes()

    async def main() -> None:
        async with (
            Upstream([says(STREAM_HEAD + chunk(events) + b"0\r\n\r\n")]) as vllm,
            metering(At(vllm.url), tmp_path, RICH, dialect="vllm") as gateway,
        ):
            answer = await gateway.ask(path=path, stream=True, max_tokens=100)
            final = json.loads(answer.content.rpartition(b"data: ")[2])
            assert final["type"] == last
            assert final["lockgate"]["cost_usd"] == cost(await gateway.last())
            assert answer.content.startswith(events[:200])

    run(main())


@pytest.mark.parametrize(
    ("path", "fields"), [("/v1/messages", {"max_tokens": 300}), ("/v1/responses", {}), ("/v1/chat/completions", {})]
)
def test_a_cut_is_told_in_the_last_event_of_every_format(
    fake: ServerProcess, tmp_path: Path, path: str, fields: dict[str, Any]
) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, CUT) as gateway:
            answer = await gateway.ask("long", path=path, stream=True, **fields)
            frames = [line for line in answer.content.splitlines() if line.startswith(b"data: {")]
            told = json.loads(frames[-1].removeprefix(b"data: "))["lockgate"]
            assert (told["cut"], told["meter"]) == ("budget", "tenant:acme|output_tokens|lifetime|")
            assert told["cost_usd"] == cost(await gateway.last())

    run(main())


def test_a_stream_without_a_price_is_left_as_it_is(fake: ServerProcess, tmp_path: Path) -> None:
    plain: dict[str, dict[str, Any]] = {"m": {"backend": "b", "served_model": "served"}}

    async def main() -> None:
        meters: Meters = {"acme": [{"cap": "900000 output_tokens", "window": "lifetime"}]}
        async with metering(fake, tmp_path, meters, models=plain) as gateway:
            assert b"lockgate" not in (await gateway.ask(stream=True)).content.replace(b'"owned_by":"lockgate"', b"")

    run(main())
