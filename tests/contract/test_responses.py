"""OpenAI's official client of the Responses API, where a server is asked in chat completions: it gets what one that
speaks the API would have answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.contract import kinds
from tests.contract.asking import CASES, run
from tests.contract.responses_cases import CALLED, NAMED, TOOL, TURNS, respond, told
from tests.contract.results import differences, plain
from tests.contract.translating import translated, translating
from tests.contract.upstreams import Servers
from tests.support import gateway as in_process
from tests.support import running
from tests.support.upstream import (
    FRAMES,
    LAST_CHUNK,
    STREAM_HEAD,
    Script,
    Upstream,
    chunk,
    hangs,
    says,
    says_and_closes,
)

TRANSLATED = [
    name
    for name, (offers, _) in CASES.items()
    if offers == "responses" and not name.startswith("refused") and name != "response_image"
]
"""What vLLM with its tiny model answers at all: refusals name other fields, and it is blind."""


def said(result: Any) -> Any:
    """What an answer says, but for how its server writes down what it does not say, and what it knows of sampling."""
    if isinstance(result, list):
        return [said(item) for item in result]
    if not isinstance(result, dict):
        return result
    if "kinds" in result:
        # vLLM calls an answer that was cut completed, but for the response in it
        kinds = [kind.replace("response.incomplete", "response.completed") for kind in result["kinds"]]
        return {"kinds": kinds, "deltas": result["deltas"], "response": said(result["response"])}
    if "output" in result:
        usage = result["usage"]
        kept = ("status", "incomplete_details", "object", "instructions", "parallel_tool_calls", "tools")
        return {
            **{name: said(result[name]) for name in kept},
            "metadata": result["metadata"] or {},
            "usage": [usage[name] for name in ("input_tokens", "output_tokens", "total_tokens")],
            "output": said(result["output"]),
        }
    # vLLM calls the items of an answer that was cut completed too
    return {name: said(value) for name, value in result.items() if value not in (None, []) and name != "status"}


@pytest.mark.parametrize(("kind", "case"), [kinds.of("vllm", case) for case in TRANSLATED])
def test_what_is_translated_for_vllm_is_what_it_answers_itself(
    servers: Servers, tmp_path: Path, kind: str, case: str
) -> None:
    kinds.require(kind)
    own = servers.result(kind, case, through=False)
    assert differences(said(own), said(translated(servers.pair(kind).direct, partial(run, case), tmp_path))) == []


# -- servers that speak chat completions only


CHATTING = [kinds.of(kind) for kind in ("fake", "llama_cpp")]


@pytest.mark.parametrize("kind", CHATTING)
def test_a_translated_stream_is_the_whole_answer(servers: Servers, kind: str) -> None:
    kinds.require(kind)
    through = servers.pair(kind).through
    with through.client() as client:
        asked: dict[str, Any] = {"input": TURNS, "instructions": "You answer in one word.", "max_output_tokens": 64}
        whole = respond(client, through, **asked)
        streamed = told(respond(client, through, stream=True, **asked))
    assert whole.output_text
    assert streamed["response"] == plain(whole)
    assert streamed["deltas"] == {"response.output_text.delta": whole.output_text}
    assert streamed["kinds"] == [
        *("response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"),
        *("response.output_text.delta", "response.output_text.done", "response.content_part.done"),
        *("response.output_item.done", f"response.{whole.status}"),
    ]


@pytest.mark.parametrize("kind", CHATTING)
def test_an_answer_that_was_cut_says_so(servers: Servers, kind: str) -> None:
    kinds.require(kind)
    through = servers.pair(kind).through
    with through.client() as client:
        cut = respond(client, through, input="Tell a very long story.", max_output_tokens=2)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert cut.usage.output_tokens == 2


class Digit(BaseModel):
    digit: int


@pytest.mark.parametrize("kind", CHATTING)
def test_a_structured_output_is_parsed_whole_and_streamed(servers: Servers, kind: str) -> None:
    kinds.require(kind)
    through = servers.pair(kind).through
    asked: dict[str, Any] = {"model": through.model, "input": "A digit.", "text_format": Digit, "temperature": 0}
    with through.client() as client:
        responses: Any = client.responses
        whole = responses.parse(**asked).output_parsed
        with responses.stream(**asked) as events:
            streamed = events.get_final_response().output_parsed
    assert isinstance(whole, Digit)
    assert streamed == whole


@pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
def test_a_translated_tool_call_is_the_packages_own(servers: Servers, choice: Any) -> None:
    through = servers.pair("fake").through
    asked: dict[str, Any] = {"input": "The weather?", "tools": [TOOL], "tool_choice": choice}
    with through.client() as client:
        (call,) = respond(client, through, **asked).output
        responses: Any = client.responses
        with responses.stream(model=through.model, **asked) as events:
            (streamed,) = events.get_final_response().output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "weather", {"city": "Oslo"})
    assert (streamed.type, streamed.name, streamed.arguments) == (call.type, call.name, call.arguments)


@pytest.mark.parametrize("kind", CHATTING)
def test_an_answer_can_be_sent_back_with_what_follows_it(servers: Servers, kind: str) -> None:
    kinds.require(kind)
    through = servers.pair(kind).through
    with through.client() as client:
        first = respond(client, through, input=CALLED[:1])
        turns = [*CALLED[:1], *first.output, *CALLED[1:]]
        assert respond(client, through, input=turns, tools=[TOOL]).output_text


def test_what_cannot_be_translated_is_refused_by_name(servers: Servers) -> None:
    through = servers.pair("fake").through
    with through.client() as client, pytest.raises(openai.BadRequestError, match="tools of type web_search") as refused:
        respond(client, through, tools=[{"type": "web_search"}])
    assert refused.value.param == "tools[0]"


@pytest.mark.parametrize("cut", [says_and_closes, hangs, lambda data: says(data + LAST_CHUNK)])
def test_a_stream_that_breaks_raises_in_the_package(tmp_path: Path, cut: Callable[[bytes], Script]) -> None:
    async def main() -> Any:
        async with (
            Upstream([cut(STREAM_HEAD + chunk(FRAMES[1]))]) as upstream,
            translating(upstream.url, None, tmp_path, idle_s=0.2) as gateway,
            openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=in_process.KEY, max_retries=0) as client,
        ):
            events = await client.responses.create(model="m", input="hi", stream=True)
            for _ in range(5):
                last = await anext(events)
            assert last.type == "response.output_text.delta"
            with pytest.raises(openai.APIError) as raised:
                await anext(events)
            return raised.value.code

    assert running.run(main()) in ("stream_broken", "upstream_timeout")
