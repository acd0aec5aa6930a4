"""What clients of Anthropic's API do, one case each, with the official anthropic package: the same for any server.

As in `cases`: a case takes a client and says what came back as plain data; tests compare.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import anthropic

from tests.contract.asking import TIMEOUT_S, Target
from tests.contract.chat_cases import PIXEL
from tests.contract.results import without_changing

Case = Callable[[anthropic.Anthropic, str], Any]
CASES: dict[str, Case] = {}

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Say hello."}]
TURNS: list[dict[str, Any]] = [
    {"role": "user", "content": "The capital of France?"},
    {"role": "assistant", "content": [{"type": "text", "text": "Paris."}]},
    {"role": "user", "content": [{"type": "text", "text": "And of Italy? Ὀρθογραφία, 漢字, 🚀."}]},
]
WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
NAMED = {"type": "tool", "name": "weather"}
CALLED: list[dict[str, Any]] = [
    *HELLO,
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}}],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "rain"}]},
]


def client(target: Target, **options: Any) -> anthropic.Anthropic:
    """A client that never retries; its key goes into `x-api-key`."""
    settings: dict[str, Any] = {"api_key": target.key, "timeout": TIMEOUT_S, "max_retries": 0, **options}
    return anthropic.Anthropic(base_url=target.base_url.removesuffix("/v1"), **settings)


def run(name: str, target: Target, *, bearer: bool = False) -> Any:
    """One case's result; an error the client raises is a result too. vLLM takes its key as `bearer` only."""
    options: dict[str, Any] = {"api_key": None, "auth_token": target.key} if bearer else {}
    with client(target, **options) as asking:
        try:
            return CASES[name](asking, target.model)
        except anthropic.APIError as error:
            return refusal(error)


def refusal(error: anthropic.APIError) -> dict[str, Any]:
    """What a caller sees of an error: the exception's class, the status if there is one, the body as it was sent."""
    return {"raised": type(error).__name__, "status": getattr(error, "status_code", None), "body": error.body}


def fields(model: str, **more: Any) -> dict[str, Any]:
    """A request, greedy and short unless `more` says otherwise."""
    return {"model": model, "messages": HELLO, "max_tokens": 8, "extra_body": {"temperature": 0}, **more}


def plain(message: Any) -> Any:
    """A message as the JSON it came from, without what changes: ids, and which of its tokens a cache had."""
    found = without_changing(message.model_dump(mode="json", exclude_none=True, warnings=False))
    usage = found.pop("usage")
    inputs = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return found | {"input": sum(usage.get(name) or 0 for name in inputs), "output": usage["output_tokens"]}


def create(asking: anthropic.Anthropic, model: str, **more: Any) -> Any:
    """A message, whole."""
    ask: Any = asking.messages.create
    return plain(ask(**fields(model, **more)))


def stream(asking: anthropic.Anthropic, model: str, **more: Any) -> Any:
    """A message from its events, and which kinds of events came in which order."""
    ask: Any = asking.messages.stream
    with ask(**fields(model, **more)) as events:
        kinds = [event.type for event in events if event.type in RAW]
        return {"kinds": [kind for kind, _ in itertools.groupby(kinds)], "message": plain(events.get_final_message())}


RAW = frozenset(
    (
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    )
)
"""What the server sends; the package adds events of its own."""


def case(function: Case) -> Case:
    """Adds a case under its function's name."""
    CASES[function.__name__] = function
    return function


@case
def message_plain(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model)


@case
def message_system_and_turns(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, messages=TURNS, system=[{"type": "text", "text": "Answer in one word."}])


@case
def message_stream(asking: anthropic.Anthropic, model: str) -> Any:
    return stream(asking, model)


@case
def message_stream_raw(asking: anthropic.Anthropic, model: str) -> Any:
    ask: Any = asking.messages.create
    events = list(ask(**fields(model, stream=True)))
    return {"first": events[0].type, "last": events[-1].type, "stops": sum(e.type == "message_stop" for e in events)}


@case
def message_stream_async(asking: anthropic.Anthropic, model: str) -> Any:
    async def main() -> Any:
        options: Any = {"api_key": asking.api_key, "auth_token": asking.auth_token, "max_retries": 0}
        async with anthropic.AsyncAnthropic(base_url=asking.base_url, timeout=TIMEOUT_S, **options) as another:
            ask: Any = another.messages.stream
            async with ask(**fields(model)) as events:
                return plain(await events.get_final_message())

    return asyncio.run(main())


@case
def message_stop_sequence(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, stop_sequences=["o", "e", "a"], max_tokens=32)


@case
def message_stream_stop_sequence(asking: anthropic.Anthropic, model: str) -> Any:
    return stream(asking, model, stop_sequences=["o", "e", "a"], max_tokens=32)


@case
def message_one_token(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, max_tokens=1)


@case
def message_sampled(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, extra_body={"temperature": 0.7, "top_p": 0.9, "top_k": 1}, max_tokens=4)


@case
def message_metadata(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, metadata={"user_id": "someone"})


@case
def message_tool_named(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, tools=[WEATHER], tool_choice=NAMED, max_tokens=128)


@case
def message_tool_any(asking: anthropic.Anthropic, model: str) -> Any:
    choice = {"type": "any", "disable_parallel_tool_use": True}
    return create(asking, model, tools=[WEATHER], tool_choice=choice, max_tokens=128)


@case
def message_tool_auto(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, tools=[WEATHER], tool_choice={"type": "auto"})


@case
def message_tool_none(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, tools=[WEATHER], tool_choice={"type": "none"})


@case
def message_stream_tool(asking: anthropic.Anthropic, model: str) -> Any:
    return stream(asking, model, tools=[WEATHER], tool_choice={"type": "any"}, max_tokens=128)


@case
def message_tool_result(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, messages=CALLED, tools=[WEATHER])


@case
def message_image(asking: anthropic.Anthropic, model: str) -> Any:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL.partition(",")[2]}
    blocks = [{"type": "text", "text": "What is this?"}, {"type": "image", "source": source}]
    return create(asking, model, messages=[{"role": "user", "content": blocks}])


@case
def message_long(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, messages=[{"role": "user", "content": "water " * 400}], max_tokens=2)


@case
def count_plain(asking: anthropic.Anthropic, model: str) -> Any:
    count: Any = asking.messages.count_tokens
    return count(model=model, messages=HELLO).input_tokens


@case
def count_turns_and_tools(asking: anthropic.Anthropic, model: str) -> Any:
    count: Any = asking.messages.count_tokens
    return count(model=model, messages=TURNS, system="Answer in one word.", tools=[WEATHER]).input_tokens


@case
def refused_temperature_of_messages(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, extra_body={"temperature": -1})


@case
def refused_type_of_messages(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, extra_body={"temperature": "hot"})


@case
def refused_long_message(asking: anthropic.Anthropic, model: str) -> Any:
    return create(asking, model, messages=[{"role": "user", "content": "water " * 9000}])


@case
def refused_long_message_in_a_stream(asking: anthropic.Anthropic, model: str) -> Any:
    return stream(asking, model, messages=[{"role": "user", "content": "water " * 9000}])


@case
def refused_count(asking: anthropic.Anthropic, model: str) -> Any:
    count: Any = asking.messages.count_tokens
    return count(model=model, messages=HELLO, tools=[{"name": 5}]).input_tokens
