"""The cases of `/v1/responses`, and of vLLM's `/v1/rerank` and `/v1/score`."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable
from typing import Any

import openai

from tests.contract.asking import OWN, RANK, RESPONSES, TIMEOUT_S, Target, case
from tests.contract.chat_cases import DIGIT, PIXEL, WEATHER
from tests.contract.results import plain

TOOL: dict[str, Any] = {"type": "function", **WEATHER["function"]}
NAMED = {"type": "function", "name": "weather"}
FORMAT = {"type": "json_schema", "name": "digit", "strict": True, "schema": DIGIT}
TURNS: list[dict[str, Any]] = [
    {"role": "user", "content": "The capital of France?"},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Paris.", "annotations": []}],
    },
    {"role": "user", "content": [{"type": "input_text", "text": "And of Italy? Ὀρθογραφία, 漢字, 🚀."}]},
]
CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "The weather in Oslo?"},
    {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Oslo"}'},
    {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
]


def respond(client: openai.OpenAI, target: Target, **fields: Any) -> Any:
    """One request for a response, greedy and short unless the fields say otherwise."""
    create: Any = client.responses.create
    request = {"model": target.model, "input": "Say hello.", "temperature": 0, "max_output_tokens": 16, **fields}
    return create(**request)


def told(events: Iterable[Any]) -> dict[str, Any]:
    """A stream: which kinds of events came in which order, their texts joined, and the response of the last one."""
    found = list(events)
    deltas = [event for event in found if event.type.endswith(".delta")]
    assert [event.sequence_number for event in found] == list(range(len(found)))
    return {
        "kinds": [kind for kind, _ in itertools.groupby(event.type for event in found)],
        "deltas": {kind: "".join(each.delta for each in deltas if each.type == kind) for kind in _types(deltas)},
        "response": plain(found[-1].response),
    }


def _types(events: Iterable[Any]) -> list[str]:
    return sorted({event.type for event in events})


@case(RESPONSES)
def response_plain(client: openai.OpenAI, target: Target) -> Any:
    return plain(respond(client, target))


@case(RESPONSES)
def response_instructions_and_turns(client: openai.OpenAI, target: Target) -> Any:
    return plain(respond(client, target, instructions="You answer in one word.", input=TURNS))


@case(RESPONSES)
def response_stream(client: openai.OpenAI, target: Target) -> Any:
    return told(respond(client, target, stream=True))


@case(RESPONSES)
def response_stream_async(client: openai.OpenAI, target: Target) -> Any:
    async def main() -> Any:
        async with openai.AsyncOpenAI(
            base_url=target.base_url, api_key=target.key, timeout=TIMEOUT_S, max_retries=0
        ) as asking:
            stream = await respond(asking, target, stream=True)  # type: ignore[arg-type]
            return told([event async for event in stream])

    return asyncio.run(main())


@case(RESPONSES)
def response_long(client: openai.OpenAI, target: Target) -> Any:
    """More tokens than a server says in one piece."""
    return told(respond(client, target, max_output_tokens=96, stream=True))


@case(RESPONSES)
def response_of_another_name(client: openai.OpenAI, target: Target) -> Any:
    return plain(respond(client, target, model=target.other_model))["output"]


@case(RESPONSES)
def response_logprobs(client: openai.OpenAI, target: Target) -> Any:
    asked = {"include": ["message.output_text.logprobs"], "top_logprobs": 2, "max_output_tokens": 4}
    return plain(respond(client, target, **asked))


@case(RESPONSES)
def response_json_schema(client: openai.OpenAI, target: Target) -> Any:
    answer = respond(client, target, text={"format": FORMAT}, max_output_tokens=32)
    return {"parsed": json.loads(answer.output_text), "whole": plain(answer)}


@case(RESPONSES)
def response_tool_required(client: openai.OpenAI, target: Target) -> Any:
    return plain(respond(client, target, tools=[TOOL], tool_choice="required", max_output_tokens=128))


@case(RESPONSES)
def response_tool_named(client: openai.OpenAI, target: Target) -> Any:
    return plain(respond(client, target, tools=[TOOL], tool_choice=NAMED, max_output_tokens=128))


@case(RESPONSES)
def response_stream_tool(client: openai.OpenAI, target: Target) -> Any:
    return told(respond(client, target, tools=[TOOL], tool_choice="required", max_output_tokens=128, stream=True))


@case(RESPONSES)
def response_tool_result(client: openai.OpenAI, target: Target) -> Any:
    return plain(respond(client, target, tools=[TOOL], input=CALLED))


@case(RESPONSES)
def response_metadata_and_user(client: openai.OpenAI, target: Target) -> Any:
    return plain(respond(client, target, metadata={"team": "a"}, user="someone", store=True))


@case(RESPONSES)
def response_image(client: openai.OpenAI, target: Target) -> Any:
    content = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": PIXEL}]
    return plain(respond(client, target, input=[{"role": "user", "content": content}]))


@case(RESPONSES)
def refused_response_temperature(client: openai.OpenAI, target: Target) -> Any:
    return plain(respond(client, target, temperature=-1))


@case(RESPONSES)
def refused_response_stream(client: openai.OpenAI, target: Target) -> Any:
    return told(respond(client, target, temperature=-1, stream=True))


@case(RESPONSES)
def refused_response_type(client: openai.OpenAI, target: Target) -> Any:
    return plain(respond(client, target, temperature="hot"))


@case(RESPONSES)
def refused_response_too_long(client: openai.OpenAI, target: Target) -> Any:
    return plain(respond(client, target, input="water " * 9000))


@case(OWN)
def refused_previous_response(client: openai.OpenAI, target: Target) -> Any:
    return plain(respond(client, target, previous_response_id="resp_1"))


@case(OWN)
def refused_conversation(client: openai.OpenAI, target: Target) -> Any:
    return plain(respond(client, target, conversation="conv_1"))


@case(OWN)
def refused_moderation(client: openai.OpenAI, target: Target) -> Any:
    return plain(client.moderations.create(model=target.model, input="hello"))


# --- rerank and score ------------------------------------------------------------------------------------------


def rank(client: openai.OpenAI, path: str, **fields: Any) -> Any:
    """One request that the package has no method for."""
    answer: Any = client.post(path, body=fields, cast_to=object)
    return {name: value for name, value in answer.items() if name not in ("id", "created")}


@case(RANK)
def rerank_documents(client: openai.OpenAI, target: Target) -> Any:
    documents = ["Locks lift boats.", "A cake.", "漢字"]
    return rank(client, "/rerank", model=target.model, query="water", documents=documents)


@case(RANK)
def rerank_top_n(client: openai.OpenAI, target: Target) -> Any:
    return rank(client, "/rerank", model=target.model, query="water", documents=["a", "b", "c"], top_n=1)


@case(RANK)
def score_one_to_many(client: openai.OpenAI, target: Target) -> Any:
    return rank(client, "/score", model=target.model, text_1="water", text_2=["Locks lift boats.", "A cake."])


@case(RANK)
def score_queries_and_documents(client: openai.OpenAI, target: Target) -> Any:
    return rank(client, "/score", model=target.model, queries=["a", "b"], documents=["a", "b"])


@case(RANK)
def refused_score(client: openai.OpenAI, target: Target) -> Any:
    return rank(client, "/score", model=target.model, text_1=["a", "b"], text_2=["a", "b", "c"])


@case(RANK)
def refused_rerank(client: openai.OpenAI, target: Target) -> Any:
    return rank(client, "/rerank", model=target.model, query="a", documents=["a"], top_n=-1)
