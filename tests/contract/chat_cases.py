"""The cases of `/v1/chat/completions`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai

from tests.contract.asking import CHAT, HELLO, TIMEOUT_S, Target, case, chat
from tests.contract.results import joined, plain

TURNS: list[dict[str, Any]] = [
    {"role": "system", "content": "You answer in one word."},
    {"role": "user", "content": "The capital of France?"},
    {"role": "assistant", "content": "Paris."},
    {"role": "user", "content": "And of Italy? Ὀρθογραφία, 漢字, 🚀."},
]
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
DIGIT: dict[str, Any] = {
    "type": "object",
    "properties": {"digit": {"type": "integer", "enum": [1, 2, 3]}},
    "required": ["digit"],
    "additionalProperties": False,
}
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@case(CHAT)
def chat_plain(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target))


@case(CHAT)
def chat_system_and_turns(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, messages=TURNS))


@case(CHAT)
def chat_stream(client: openai.OpenAI, target: Target) -> Any:
    return joined(chat(client, target, stream=True))


@case(CHAT)
def chat_stream_with_usage(client: openai.OpenAI, target: Target) -> Any:
    return joined(chat(client, target, stream=True, stream_options={"include_usage": True}))


@case(CHAT)
def chat_stream_without_usage_said(client: openai.OpenAI, target: Target) -> Any:
    return joined(chat(client, target, stream=True, stream_options={"include_usage": False}))


@case(CHAT)
def chat_stream_async(client: openai.OpenAI, target: Target) -> Any:
    async def main() -> Any:
        async with openai.AsyncOpenAI(
            base_url=target.base_url, api_key=target.key, timeout=TIMEOUT_S, max_retries=0
        ) as asking:
            stream = await chat(asking, target, stream=True)  # type: ignore[arg-type]
            return joined([frame async for frame in stream])

    return asyncio.run(main())


@case(CHAT)
def chat_stream_ends_with_done(client: openai.OpenAI, target: Target) -> Any:
    create: Any = client.chat.completions.with_streaming_response.create
    with create(model=target.model, messages=HELLO, temperature=0, max_tokens=4, stream=True) as response:
        lines = [line for line in response.iter_lines() if line]
        kind = response.headers["content-type"].partition(";")[0]
    return {"content_type": kind, "last": lines[-1], "done": sum(line == "data: [DONE]" for line in lines)}


@case(CHAT)
def chat_stream_left_early(client: openai.OpenAI, target: Target) -> Any:
    """A caller who reads one frame and goes; the next request on a new client must not suffer."""
    with chat(client, target, stream=True, max_tokens=32) as stream:
        first = plain(next(iter(stream)))
    with target.client() as another:
        return {"object": first["object"], "after": plain(chat(another, target))}


@case(CHAT)
def chat_two_choices(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, n=2, temperature=0.8, max_tokens=4))


@case(CHAT)
def chat_stream_two_choices(client: openai.OpenAI, target: Target) -> Any:
    options = {"include_usage": True}
    return joined(chat(client, target, n=2, temperature=0.8, max_tokens=4, stream=True, stream_options=options))


@case(CHAT)
def chat_stream_two_choices_without_usage(client: openai.OpenAI, target: Target) -> Any:
    """llama.cpp sends usage once a choice, the first in the middle: whoever hides it must hide both."""
    return joined(chat(client, target, n=2, temperature=0.8, max_tokens=4, stream=True))


@case(CHAT)
def chat_logprobs(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, logprobs=True, top_logprobs=2, max_tokens=4))


@case(CHAT)
def chat_stream_logprobs(client: openai.OpenAI, target: Target) -> Any:
    return joined(chat(client, target, logprobs=True, top_logprobs=1, max_tokens=4, stream=True))


@case(CHAT)
def chat_stop(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, stop=["o", "e", "a"], max_tokens=32))


@case(CHAT)
def chat_max_tokens(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, max_tokens=1))


@case(CHAT)
def chat_max_completion_tokens(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, max_tokens=openai.NOT_GIVEN, max_completion_tokens=3))


@case(CHAT)
def chat_seed(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, temperature=0.7, top_p=0.9, seed=11, frequency_penalty=0.2))


@case(CHAT)
def chat_logit_bias_and_user(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, logit_bias={"50": -100}, user="someone", metadata={"team": "a"}, max_tokens=4))


@case(CHAT)
def chat_json_schema(client: openai.OpenAI, target: Target) -> Any:
    form = {"type": "json_schema", "json_schema": {"name": "digit", "strict": True, "schema": DIGIT}}
    answer = chat(client, target, response_format=form, max_tokens=32)
    return {"parsed": json.loads(answer.choices[0].message.content), "whole": plain(answer)}


@case(CHAT)
def chat_tool_named(client: openai.OpenAI, target: Target) -> Any:
    choice = {"type": "function", "function": {"name": "weather"}}
    return plain(chat(client, target, tools=[WEATHER], tool_choice=choice, max_tokens=128))


@case(CHAT)
def chat_tool_required(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, tools=[WEATHER], tool_choice="required", max_tokens=128))


@case(CHAT)
def chat_tool_auto(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, tools=[WEATHER], parallel_tool_calls=False))


@case(CHAT)
def chat_tool_none(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, tools=[WEATHER], tool_choice="none"))


@case(CHAT)
def chat_stream_tool(client: openai.OpenAI, target: Target) -> Any:
    choice = {"type": "function", "function": {"name": "weather"}}
    return joined(chat(client, target, tools=[WEATHER], tool_choice=choice, max_tokens=128, stream=True))


@case(CHAT)
def chat_tool_result(client: openai.OpenAI, target: Target) -> Any:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    turns = [
        *HELLO,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    return plain(chat(client, target, messages=turns))


@case(CHAT)
def chat_more_fields(client: openai.OpenAI, target: Target) -> Any:
    """Fields of vLLM's own that the package does not know."""
    more = {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1, "chat_template_kwargs": {"thinking": False}}
    return plain(chat(client, target, temperature=0.5, extra_body=more))


@case(CHAT)
def chat_unknown_field(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, extra_body={"frobnicate": {"deep": [1, 2.50, "é"]}}))


@case(CHAT)
def chat_text_parts(client: openai.OpenAI, target: Target) -> Any:
    parts = [{"type": "text", "text": "Say"}, {"type": "text", "text": "hello."}]
    return plain(chat(client, target, messages=[{"role": "user", "content": parts}]))


@case(CHAT)
def chat_image(client: openai.OpenAI, target: Target) -> Any:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    return plain(chat(client, target, messages=[{"role": "user", "content": parts}]))


@case(CHAT)
def chat_other_name(client: openai.OpenAI, target: Target) -> Any:
    """An alias that is not what the backend calls the model."""
    return plain(chat(client, target, model=target.other_model))


@case(CHAT)
def chat_name_with_slash(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, model=target.slash_model))


@case(CHAT)
def chat_long_prompt(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, messages=[{"role": "user", "content": "water " * 400}], max_tokens=2))
