"""The process behind `kind: provider`: litellm asks a local server that speaks the providers' formats."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import provider_formats as formats
from tests.support.providers import Child, asking, child, until_left
from tests.support.running import run
from tests.support.upstream import Script, hangs, says, says_and_closes, stream, unary

pytestmark = pytest.mark.providers

BOTH = pytest.mark.parametrize("name", ["openai", "anthropic"])
MODEL = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-5"}
FUNCTION = {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {"city": {}}}}
TOOLS = [{"type": "function", "function": FUNCTION}]
SECRET_WORDS = "a-word-nobody-else-says"

Children = Callable[[str], Child]


@pytest.fixture(scope="module")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Children]:
    """A child for each format, started when it is first wanted: importing litellm takes seconds."""
    started: dict[str, Child] = {}
    with ExitStack() as stack:

        def get(name: str) -> Child:
            if name not in started:
                started[name] = stack.enter_context(child(tmp_path_factory.mktemp(name), name))
            return started[name]

        yield get


def chat(name: str, **more: Any) -> dict[str, Any]:
    return {"model": MODEL[name], "messages": [{"role": "user", "content": "one two three"}], **more}


def one(
    served: Child, script: Script, body: dict[str, Any], endpoint: str = "chat/completions"
) -> tuple[httpx.Response, list[dict[str, Any]]]:
    """One request's answer, and the bodies that the provider got."""

    async def main() -> tuple[httpx.Response, list[dict[str, Any]]]:
        async with asking(served, script) as asked:
            answer = await asked.post(body, endpoint)
            return answer, [json.loads(seen.body) for seen in asked.upstream.seen]

    return run(main())


def streamed(
    served: Child, script: Script, body: dict[str, Any], endpoint: str = "chat/completions"
) -> tuple[list[Any], bool]:
    """The frames of one stream, and whether it came to its end."""

    async def main() -> tuple[list[Any], bool]:
        async with asking(served, script) as asked:
            return await asked.frames(body, endpoint)

    return run(main())


# -- answers


@BOTH
def test_a_chat_is_asked_in_the_providers_format_and_answered_in_openais(children: Children, name: str) -> None:
    answer, sent = one(children(name), formats.speaks(name), chat(name, temperature=0.5, max_tokens=7))
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["object"] == "chat.completion"
    assert said["choices"][0]["message"]["content"] == "three two one"
    assert said["choices"][0]["finish_reason"] == "stop"
    usage = said["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (10, 3)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 4
    assert (sent[0]["model"], sent[0]["temperature"], sent[0]["max_tokens"]) == (MODEL[name], 0.5, 7)


@BOTH
def test_a_stream_has_the_words_the_reason_the_usage_and_its_end(children: Children, name: str) -> None:
    frames, ended = streamed(children(name), formats.speaks(name), chat(name))
    assert ended
    assert "".join(f["choices"][0]["delta"].get("content") or "" for f in frames[:-1]) == "three two one"
    assert [f["choices"][0].get("finish_reason") for f in frames[:-1]][-1] == "stop"
    assert frames[-1]["choices"] == []
    assert (frames[-1]["usage"]["prompt_tokens"], frames[-1]["usage"]["completion_tokens"]) == (10, 3)
    assert all("usage" not in frame for frame in frames[:-1])


@BOTH
def test_a_tool_is_called_whole_and_streamed(children: Children, name: str) -> None:
    body = chat(name, tools=TOOLS, tool_choice="auto")
    answer, sent = one(children(name), formats.speaks(name), body)
    assert answer.status_code == 200, answer.text
    choice = answer.json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    [call] = choice["message"]["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "weather")
    assert json.loads(call["function"]["arguments"]) == formats.ARGUMENTS
    assert "content" in choice["message"]
    assert sent[0]["tools"]

    frames, ended = streamed(children(name), formats.speaks(name), body)
    calls = [part for f in frames for c in f["choices"] for part in c["delta"].get("tool_calls", ())]
    assert ended
    assert [part["function"]["name"] for part in calls if part["function"].get("name")] == ["weather"]
    assert json.loads("".join(part["function"].get("arguments") or "" for part in calls)) == formats.ARGUMENTS
    assert any(c.get("finish_reason") == "tool_calls" for f in frames for c in f["choices"])


@BOTH
def test_a_tools_result_goes_back_to_the_provider(children: Children, name: str) -> None:
    function = {"name": "weather", "arguments": json.dumps(formats.ARGUMENTS)}
    messages = [
        {"role": "user", "content": "how is it"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {"role": "user", "content": "really so"},
    ]
    answer, sent = one(children(name), formats.speaks(name), chat(name, messages=messages))
    assert answer.status_code == 200, answer.text
    assert "rain" in json.dumps(sent[0]["messages"])


def test_completions_and_embeddings_are_asked_too(children: Children) -> None:
    served = children("openai")
    answer, sent = one(served, formats.speaks("openai"), {"model": "gpt-x", "prompt": "a b"}, "completions")
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["text"] == "b a"
    frames, ended = streamed(served, formats.speaks("openai"), {"model": "gpt-x", "prompt": "a b"}, "completions")
    assert ended
    assert "".join(choice["text"] or "" for frame in frames for choice in frame["choices"]) == "b a"
    assert frames[-1]["usage"]["completion_tokens"] == 2

    answer, sent = one(served, formats.speaks("openai"), {"model": "e", "input": ["x", "y"]}, "embeddings")
    assert [item["embedding"] for item in answer.json()["data"]] == [[0.5, -0.25]] * 2
    assert answer.json()["usage"]["prompt_tokens"] == 2
    assert sent[0]["input"] == ["x", "y"]


@BOTH
def test_usage_the_provider_did_not_state_is_not_made_up(children: Children, name: str) -> None:
    async def without_usage(talk: Any) -> None:
        body = json.loads(talk.seen.body)
        whole = formats.openai_whole(body) if name == "openai" else formats.anthropic_whole(body)
        whole["usage"] = {} if name == "anthropic" else None
        await talk.send(unary(json.dumps(whole).encode()))

    answer, _ = one(children(name), without_usage, chat(name))
    assert answer.json()["choices"][0]["message"]["content"] == "three two one"
    assert "usage" not in answer.json()

    whole_frames = formats.openai_frames if name == "openai" else formats.anthropic_frames

    async def stream_without_usage(talk: Any) -> None:
        frames = [frame for frame in whole_frames(json.loads(talk.seen.body)) if b'"choices": []' not in frame]
        await talk.send(stream([re.sub(rb', "usage": \{[^}]*\}', b"", frame) for frame in frames]))

    frames, ended = streamed(children(name), stream_without_usage, chat(name))
    assert ended
    assert not any("usage" in frame for frame in frames)


# -- failures


@BOTH
@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (400, 400, "provider_rejected"),
        (401, 401, "provider_refused_key"),
        (403, 403, "provider_refused_key"),
        (404, 404, "provider_rejected"),
        (413, 413, "provider_rejected"),
        (422, 422, "provider_rejected"),
        (429, 429, "rate_limit_exceeded"),
        (500, 502, "provider_failed"),
        (503, 503, "provider_overloaded"),
        (529, 503, "provider_overloaded"),
    ],
)
def test_a_refusal_keeps_its_meaning_and_is_not_tried_again(
    children: Children, name: str, sent: int, status: int, code: str
) -> None:
    refusal = formats.refusal(sent, f"no, {formats.KEY} will not do", headers=b"retry-after: 7\r\n")
    for body in (chat(name), chat(name, stream=True)):
        answer, asked = one(children(name), says(refusal), body)
        error = answer.json()["error"]
        if (name, sent) == ("anthropic", 413):
            status = 400  # litellm's word for it
        if (name, sent) == ("anthropic", 529):
            status, code = 502, "provider_failed"
        assert (answer.status_code, error["code"]) == (status, code), answer.text
        assert len(asked) == 1
        assert formats.KEY not in answer.text
        assert ("will not do" in error["message"]) == (status in (400, 404, 413, 422))
        assert answer.headers.get("retry-after") == "7"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("openai", "This model's maximum context length is 8192 tokens. However, you requested 9000."),
        ("anthropic", "prompt is too long: 250000 tokens > 200000 maximum"),
    ],
)
def test_a_prompt_that_is_too_long_is_a_400_of_its_own_code(children: Children, name: str, words: str) -> None:
    refusal = formats.refusal(400, words, code="context_length_exceeded")
    answer, _ = one(children(name), says(refusal), chat(name))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded"), answer.text


def test_a_content_policy_is_a_400_of_its_own_code(children: Children) -> None:
    words = "Your request was rejected as a result of our safety system."
    refusal = formats.refusal(400, words, code="content_policy_violation")
    answer, _ = one(children("openai"), says(refusal), chat("openai"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter"), answer.text


@BOTH
@pytest.mark.parametrize("answer", [b"", unary(b"not json"), unary(b"{}"), unary(b"[]")])
def test_an_answer_that_is_none_is_a_502_and_asked_for_once(children: Children, name: str, answer: bytes) -> None:
    found, asked = one(children(name), says_and_closes(answer), chat(name))
    assert found.status_code == 502
    assert found.json()["error"]["message"] == "the provider failed"
    assert len(asked) == 1


@BOTH
def test_a_redirect_is_not_followed(children: Children, name: str) -> None:
    elsewhere = b"HTTP/1.1 307 Elsewhere\r\nlocation: /stolen\r\ncontent-length: 0\r\n\r\n"
    found, asked = one(children(name), says(elsewhere), chat(name))
    assert found.status_code == 502
    assert len(asked) == 1


@BOTH
@pytest.mark.parametrize("cleanly", [True, False])
def test_a_stream_that_breaks_off_has_no_end(children: Children, name: str, cleanly: bool) -> None:
    frames, ended = streamed(children(name), formats.breaks_off(name, 4, cleanly=cleanly), chat(name))
    assert not ended
    assert frames
    assert not any(choice.get("finish_reason") for frame in frames for choice in frame["choices"])


@BOTH
def test_a_caller_who_leaves_closes_the_connection_to_the_provider(children: Children, name: str) -> None:
    async def main() -> None:
        async with asking(children(name), hangs()) as asked:
            waiting = asyncio.create_task(asked.post(chat(name)))
            await asked.upstream.arrived.wait()
            waiting.cancel()
            await until_left(asked.upstream)
        async with asking(children(name), formats.stops_after(name, 4)) as asked:
            body = chat(name, stream=True)
            async with asked.client.stream("POST", "/v1/chat/completions", json=body) as answer:
                assert "choices" in await anext(answer.aiter_lines())
            await until_left(asked.upstream)

    run(main())


# -- what a caller may not do


@pytest.mark.parametrize(
    ("field", "value"),
    [("api_base", "http://127.0.0.1:1"), ("api_key", "x"), ("mock_response", "x"), ("base_url", "x"), ("timeout", 1)],
)
def test_a_field_that_is_litellms_own_is_refused_by_name(children: Children, field: str, value: object) -> None:
    answer, asked = one(children("openai"), formats.speaks("openai"), chat("openai", **{field: value}))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field
    assert asked == []


def test_a_parameter_the_provider_has_no_word_for_is_refused_and_not_dropped(children: Children) -> None:
    answer, asked = one(children("anthropic"), formats.speaks("anthropic"), chat("anthropic", logit_bias={"1": 2}))
    assert answer.status_code == 400
    assert "logit_bias" in answer.json()["error"]["message"]
    assert asked == []


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": 1}]}, {"role": "user", "content": "x"}]},
        {"messages": [{"role": "assistant", "tool_calls": "x"}, {"role": "user", "content": "x"}]},
        {"response_format": {"type": "json_schema"}},
        {"tool_choice": {"a": "b"}},
        {"stop": [1, 2]},
        {"thinking": {"type": "x"}},
    ],
)
def test_a_body_that_cannot_be_translated_never_looks_like_a_broken_provider(
    children: Children, more: dict[str, Any]
) -> None:
    answer, _ = one(children("anthropic"), formats.speaks("anthropic"), chat("anthropic", **more))
    assert answer.status_code < 500, answer.text


@BOTH
def test_a_stream_that_ends_before_it_begins_is_a_502(children: Children, name: str) -> None:
    body = chat(name, stream=True)
    answer, _ = one(children(name), formats.breaks_off(name, 0, cleanly=True), body)
    assert answer.status_code == 502


def test_health_is_answered_without_asking_the_provider(children: Children) -> None:
    async def main() -> None:
        async with asking(children("openai"), formats.speaks("openai")) as asked:
            assert (await asked.client.get("/health")).status_code == 200
            assert (await asked.client.get("/v1/models")).status_code == 404
            assert (await asked.client.get("/v1/chat/completions")).status_code == 405
            assert asked.upstream.connections == 0

    run(main())


GUARD = """
import runpy, sys, urllib.parse, os
sys.modules["uvloop"] = None  # its sockets are out of Python's sight
port = urllib.parse.urlsplit(__import__("json").loads(os.environ["LOCKGATE_PROVIDER"])["api_base"]).port
def guard(event, arguments):
    wrong = event == "socket.connect" and arguments[1] != ("127.0.0.1", port)
    wrong = wrong or event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", b"127.0.0.1")
    if wrong:
        sys.stderr.write(f"PHONED {arguments}\\n")
        raise PermissionError("not here")
sys.addaudithook(guard)
sys.argv[0] = "provider"
runpy.run_module("gateway.backends.provider", run_name="__main__", alter_sys=True)
"""


@BOTH
def test_nothing_but_the_provider_is_connected_to(tmp_path: Path, name: str) -> None:
    with child(tmp_path, name, "-c", GUARD) as served:
        image = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/picture.png"}}
        for body in (
            chat(name),
            chat(name, tools=TOOLS),
            chat(name, messages=[{"role": "user", "content": [image]}]),
            {**chat(name), "model": "meta-llama/unknown-model"},
        ):
            for more in ({}, {"stream": True, "stream_options": {"include_usage": True}}):
                answer, asked = one(served, formats.speaks(name), {**body, **more})
                fetched = name == "anthropic" and body["messages"][0]["content"] == [image]
                assert (answer.status_code, len(asked)) == ((400, 0) if fetched else (200, 1)), answer.text
        assert "PHONED" not in served.printed.read_text()


def test_a_provider_that_litellm_does_not_know_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(AssertionError), child(tmp_path, "anthropc"):
        pass
    assert "litellm knows no provider 'anthropc'; did you mean anthropic?" in (tmp_path / "printed").read_text()


def test_a_key_file_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError), child(tmp_path, "openai", api_key=None, api_key_file="nowhere/key"):
        pass
    assert "the key cannot be read from nowhere/key" in (tmp_path / "printed").read_text()


def test_nothing_of_prompts_answers_or_keys_is_printed(children: Children) -> None:
    for name in ("openai", "anthropic"):
        served = children(name)
        body = chat(name, messages=[{"role": "user", "content": SECRET_WORDS}])
        for script in (formats.speaks(name), says(unary(b"[]")), says(formats.refusal(401, formats.KEY))):
            one(served, script, body)
            streamed(served, formats.breaks_off(name, 4, cleanly=False), body)
        printed = served.printed.read_text()
        assert "refused the gateway's key" in printed
        assert SECRET_WORDS not in printed
        assert formats.KEY not in printed
