"""Meters in front of real vLLM: what it counts while it runs is what is held, cut, settled and charged."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from gateway.clock import SystemClock
from gateway.runtime.measuring import Measuring
from gateway.store.records import Record
from gateway.telemetry.logs import Log
from tests.contract import kinds
from tests.contract.upstreams import Servers
from tests.support import vllm
from tests.support.gateway import KEY, Meters
from tests.support.metered import PRICE, At, Metered, events, metering, usd
from tests.support.running import run

TENANT = "tenant:acme|usd|lifetime|"
ON_VLLM = pytest.mark.parametrize("kind", [kinds.of("vllm")])
CONTEXT_TOKENS = 2048
"""Of the tiny model."""
MODELS = {"m": {"backend": "b", "served_model": vllm.MODEL, "price": PRICE, "max_output": CONTEXT_TOKENS}}
LONG: Any = {"ignore_eos": True, "temperature": 0}
"""The tiny model stops only where it is told to."""


@pytest.fixture
def gateway(
    servers: Servers, kind: str, tmp_path: Path
) -> Callable[[Meters], contextlib.AbstractAsyncContextManager[Metered]]:
    """A metered gateway in front of the real server, once its meters are known."""
    kinds.require(kind)
    address = servers.pair(kind).direct.base_url.removesuffix("/v1")

    @contextlib.asynccontextmanager
    async def start(meters: Meters) -> AsyncIterator[Metered]:
        options: Any = {"dialect": "vllm", "backend": {"api_key": vllm.API_KEY}, "models": MODELS}
        async with metering(At(address), tmp_path, meters, **options) as metered:
            yield metered

    return start


Starting = Callable[[Meters], contextlib.AbstractAsyncContextManager[Metered]]


def charge(usage: Any) -> int:
    """What the usage that vLLM states costs, in nano-dollars."""
    return int(usage["prompt_tokens"] * 10 + usage["completion_tokens"] * 1000)


def made(record: Record) -> int:
    """The output tokens a record says were made for its caller."""
    return (record.output_tokens or 0) + (record.reasoning_tokens or 0)


@ON_VLLM
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"max_tokens": 40}),
        ("/v1/completions", {"max_tokens": 40}),
        ("/v1/messages", {"max_tokens": 40}),
        ("/v1/responses", {"max_output_tokens": 40}),
    ],
)
def test_what_vllm_says_it_used_is_settled(gateway: Starting, path: str, fields: dict[str, Any]) -> None:
    async def main() -> None:
        async with gateway({"acme": [usd(10**12)]}) as metered:
            answer = await metered.ask("Tell me something.", path=path, **fields)
            assert answer.status_code == 200, answer.text
            usage = answer.json()["usage"]
            record = await metered.last()
            asked = usage.get("prompt_tokens", usage.get("input_tokens"))
            said = usage.get("completion_tokens", usage.get("output_tokens"))
            assert (record.input_tokens or 0) + (record.cached_input_tokens or 0) == asked
            assert made(record) == said
            assert record.usage_from == "backend"
            assert record.charge_nanos == metered.spent(TENANT) == asked * 10 + said * 1000
            assert answer.headers["x-lockgate-cost-usd"] == f"0.{record.charge_nanos:09d}"

    run(main())


@ON_VLLM
def test_a_stream_is_settled_with_the_running_counts_of_vllm(gateway: Starting) -> None:
    async def main() -> None:
        async with gateway({"acme": [usd(10**12)]}) as metered:
            answer = await metered.ask(
                "hi", stream=True, max_tokens=100, **LONG, stream_options={"include_usage": True}
            )
            frames = events(answer.content)
            assert [frame for frame in frames[:-1] if frame.get("usage")] == []  # running counts are not shown
            usage = frames[-1]["usage"]
            assert usage["completion_tokens"] == 100
            record = await metered.last()
            assert (record.usage_from, made(record), record.waste_tokens) == ("running", 100, 0)
            assert record.charge_nanos == metered.spent(TENANT) == charge(usage)
            assert frames[-1]["lockgate"]["cost_usd"] == f"0.{record.charge_nanos:09d}"

    run(main())


@ON_VLLM
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_cap_of_tokens_cuts_a_stream_of_vllm(gateway: Starting, path: str) -> None:
    async def main() -> None:
        async with gateway({"acme": [{"cap": "150 output_tokens", "window": "day"}]}) as metered:
            asked = {"stream": True, **LONG, "stream_options": {"include_usage": True}}
            answer = await metered.ask("hi", path=path, max_tokens=1500, **asked)
            frames = events(answer.content)
            record = await metered.last()
            assert (record.outcome, record.action, record.usage_from) == ("answered", "cut", "running")
            assert frames[-2]["choices"][0]["finish_reason"] == "length"
            assert frames[-1]["lockgate"]["cut"] == "budget"
            assert frames[-1]["usage"]["completion_tokens"] == made(record)
            # A frame of vLLM's holds what was made since the last one was taken, and only whole ones pass: on a busy
            # machine one may hold hundreds. How little is wasted is measured by the chaos suite.
            assert made(record) <= 150
            assert made(record) + record.waste_tokens <= 1500
            assert answer.content.endswith(b"data: [DONE]\n\n")

    run(main())


@ON_VLLM
def test_a_whole_answer_of_vllm_is_clamped_to_what_the_budget_buys(gateway: Starting) -> None:
    async def main() -> None:
        async with gateway({"acme": [{"cap": "30 output_tokens", "window": "day"}]}) as metered:
            answer = await metered.ask("hi", max_tokens=400, **LONG)
            assert answer.json()["choices"][0]["finish_reason"] == "length"
            assert answer.json()["usage"]["completion_tokens"] == 30
            record = await metered.last()
            assert (made(record), record.action) == (30, "clamped:30")
            assert (await metered.ask("hi")).status_code == 429

    run(main())


@ON_VLLM
@pytest.mark.parametrize("tokens_before", [0, 3])
def test_a_caller_who_leaves_vllm_pays_for_what_it_made(gateway: Starting, tokens_before: int) -> None:
    async def main() -> None:
        async with gateway({"acme": [usd(10**12)]}) as metered:
            said = {"model": "m", "stream": True, "max_tokens": 1800, "messages": [{"role": "user", "content": "hi"}]}
            async with metered.client.stream("POST", "/v1/chat/completions", json=said | LONG) as answer:
                frames = 0
                async for line in answer.aiter_lines():
                    frames += line.startswith("data:")
                    if frames > tokens_before:
                        break
            record = await metered.last()
            assert record.outcome == "cancelled"
            assert record.usage_from == "running"
            assert made(record) + record.waste_tokens <= 1800
            used = {
                "prompt_tokens": record.input_tokens,
                "completion_tokens": made(record) + record.waste_tokens,
            }
            assert record.charge_nanos == metered.spent(TENANT) == charge(used)

    run(main())


@ON_VLLM
def test_official_clients_take_a_stream_of_vllm_that_was_cut_for_one_that_is_too_long(gateway: Starting) -> None:
    async def main() -> None:
        async with gateway({"acme": [{"cap": "100 output_tokens", "window": "day", "per": "end_user"}]}) as metered:
            sdk = openai.AsyncOpenAI(base_url=metered.running.url + "/v1", api_key=KEY, max_retries=0)
            asked: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1500}
            create: Any = sdk.chat.completions.create
            options = {"stream_options": {"include_usage": True}, "extra_body": LONG, "user": "one"}
            chunks = [chunk async for chunk in await create(**asked, stream=True, **options)]
            assert chunks[-2].choices[0].finish_reason == "length"
            assert chunks[-1].usage.completion_tokens <= 100
            await sdk.close()
            talk = anthropic.AsyncAnthropic(base_url=metered.running.url, api_key=KEY, max_retries=0)
            extra = {"extra_body": LONG, "metadata": {"user_id": "two"}}
            async with talk.messages.stream(**asked, **extra) as stream:
                whole = await stream.get_final_message()
            # vLLM speaks the format itself and counts only at the end: the answer was bounded before it began.
            assert (whole.stop_reason, whole.usage.output_tokens) == ("max_tokens", 100)
            await talk.close()

    run(main())


@ON_VLLM
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {}),
        ("/v1/chat/completions", {"tools": [{"type": "function", "function": {"name": "get_weather"}}]}),
        ("/v1/chat/completions", {"stream": True}),
        ("/v1/completions", {}),
        ("/v1/messages", {}),
    ],
)
def test_vllm_counts_an_input_before_it_is_refused_for_what_it_could_be(
    gateway: Starting, path: str, fields: dict[str, Any]
) -> None:
    async def main() -> None:
        async with gateway({"acme": [{"cap": "1100 input_tokens", "window": "lifetime"}]}) as metered:
            answer = await metered.ask("a story of some length " * 60, path=path, max_tokens=4, **fields)
            assert answer.status_code == 200, answer.text
            record = await metered.last()
            used = (record.input_tokens or 0) + (record.cached_input_tokens or 0)
            assert record.held_input == used  # to the token
            assert record.action == ""

    run(main())


SHORTEST = {"type": "function", "function": {"name": "f"}}
TALK = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "a"}]


@ON_VLLM
@pytest.mark.parametrize("fields", [{"tools": [SHORTEST] * 20}, {"messages": TALK * 40 + TALK[:1]}])
def test_what_the_template_of_vllm_adds_is_measured_and_held(gateway: Starting, fields: dict[str, Any]) -> None:
    async def main() -> None:
        async with gateway({"acme": [usd(10**12)]}) as metered:
            lines: list[bytes] = []
            measuring = Measuring(Log(SystemClock(), "debug", lines.append))
            await measuring.look(metered.running.gw.backends, metered.running.gw.snapshot)
            (counts,) = [json.loads(line)["counts"] for line in lines]
            assert counts == sorted(counts)  # all of them are numbers
            assert (await metered.ask("a", max_tokens=4)).json()["usage"]["prompt_tokens"] == counts[0]
            assert (await metered.ask("a", max_tokens=4, **fields)).status_code == 200
            record = await metered.last()
            assert counts[0] < (record.input_tokens or 0) + (record.cached_input_tokens or 0) <= record.held_input

    run(main())
