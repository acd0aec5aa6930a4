"""The app without a socket: called as ASGI, as any server would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from gateway.backends.fake_script import Script, parse
from gateway.backends.fake_server import KEPT_REQUESTS, Fake
from gateway.clock import ManualClock


def ask(
    fake: Fake, method: str, path: str, body: bytes = b"", headers: Any = (), client: Any = None
) -> tuple[int, bytes]:
    """Status and body of one request; the client stays until it has its answer."""
    sent: list[MutableMapping[str, Any]] = []
    scope = {"type": "http", "method": method, "path": path, "headers": list(headers), "client": client}

    async def exchange() -> None:
        answered = asyncio.Event()
        requests = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> MutableMapping[str, Any]:
            if requests:
                return requests.pop()
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await fake(scope, receive, send)

    asyncio.run(exchange())
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def chat(fake: Fake, text: str = "hi", **request: Any) -> tuple[int, Any]:
    value = {"model": "m", "messages": [{"role": "user", "content": text}], **request}
    status, body = ask(fake, "POST", "/v1/chat/completions", json.dumps(value).encode())
    return status, json.loads(body)


def test_the_same_request_gets_the_same_answer_from_a_fresh_server() -> None:
    answers = [chat(Fake(Script(), clock=ManualClock())) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0][1]["choices"][0]["message"]["content"] == "hi"


def test_cached_tokens_are_told_when_a_prompt_comes_again() -> None:
    fake = Fake(Script())
    first, second = (chat(fake, "long " * 50)[1]["usage"] for _ in range(2))
    assert first["prompt_tokens_details"]["cached_tokens"] == 0
    assert second["prompt_tokens_details"]["cached_tokens"] > 0
    assert fake.stats()["prefix_cache"]["hit_tokens"] == second["prompt_tokens_details"]["cached_tokens"]


def test_a_server_with_named_models_knows_no_other() -> None:
    fake = Fake(Script(), models=("a/b",))
    assert chat(fake)[0] == 404
    assert ask(fake, "GET", "/v1/models/a/b")[0] == 200
    assert ask(fake, "GET", "/v1/models/m")[0] == 404


def test_a_server_with_a_key_asks_for_it() -> None:
    fake = Fake(Script(), api_key="s")
    assert ask(fake, "GET", "/v1/models")[0] == 401
    assert ask(fake, "GET", "/v1/models", headers=[(b"authorization", b"Bearer s")])[0] == 200


def test_a_scripted_error_is_counted_and_has_its_status_message_and_headers() -> None:
    fake = Fake(parse("rules: [{status: 429, message: slow down, headers: {retry-after: '3'}}]"))
    status, body = chat(fake)
    assert (status, body["error"]["message"]) == (429, "slow down")
    assert fake.stats()["failed"] == 1


def test_a_prompt_longer_than_the_context_is_refused() -> None:
    status, body = chat(Fake(Script(), context_tokens=10), "x" * 100)
    assert status == 400
    assert "maximum context length is 10 tokens" in body["error"]["message"]


def test_a_template_stands_before_each_chat_answered_or_counted() -> None:
    body = b'{"messages": [{"role": "user", "content": "hi"}]}'
    without, behind = (Fake(Script(template_tokens=tokens)) for tokens in (0, 3000))
    counts = [json.loads(ask(fake, "POST", "/tokenize", body)[1])["count"] for fake in (without, behind)]
    assert counts[1] == counts[0] + 3000
    assert chat(behind)[1]["usage"]["prompt_tokens"] == counts[1]
    assert chat(behind)[1]["choices"][0]["message"]["content"] == "hi"


def test_tokens_can_be_counted_and_turned_back() -> None:
    fake = Fake(Script())
    status, body = ask(fake, "POST", "/tokenize", b'{"prompt": "hello you"}')
    assert (status, json.loads(body)["count"]) == (200, 3)
    ids = json.dumps({"tokens": json.loads(body)["tokens"]}).encode()
    assert json.loads(ask(fake, "POST", "/detokenize", ids)[1]) == {"prompt": "hello you"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("GET", "/nothing", 404),
        ("GET", "/health", 200),
    ],
)
def test_paths_and_methods_are_answered_as_a_server_would(method: str, path: str, status: int) -> None:
    assert ask(Fake(Script()), method, path)[0] == status


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"model": 1}', b'{"model": "m", "tools": 1}']
)
def test_a_body_that_is_no_request_is_a_400(body: bytes) -> None:
    assert ask(Fake(Script()), "POST", "/v1/chat/completions", body)[0] == 400


def test_the_script_is_changed_from_this_machine_only() -> None:
    fake = Fake(Script())
    new = b"answer: changed"
    assert ask(fake, "POST", "/fake/script", new, client=("10.1.2.3", 5))[0] == 404
    assert ask(fake, "POST", "/fake/script", b"rules: 3", client=("127.0.0.1", 5))[0] == 400
    assert ask(fake, "POST", "/fake/script", new, client=("127.0.0.1", 5))[0] == 200
    assert chat(fake)[1]["choices"][0]["message"]["content"] == "changed"


def test_the_last_requests_are_kept_and_no_more() -> None:
    fake = Fake(Script())
    for number in range(KEPT_REQUESTS + 3):
        chat(fake, str(number))
    kept = json.loads(ask(fake, "GET", "/fake/requests")[1])
    assert len(kept) == KEPT_REQUESTS
    assert json.loads(kept[-1]["body"])["messages"][0]["content"] == str(KEPT_REQUESTS + 2)


def produced(fake: Fake) -> Any:
    return json.loads(ask(fake, "GET", "/fake/produced")[1])


def identified(fake: Fake, request_id: str, **request: Any) -> bytes:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **request}).encode()
    return ask(fake, "POST", "/v1/chat/completions", body, [(b"x-request-id", request_id.encode())])[1]


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_produced_is_told_by_request_id_and_can_be_cleared(stream: bool) -> None:
    fake = Fake(parse("rules: [{answer: word, tokens: 30, tokens_per_s: 1000}]"))
    identified(fake, "a", stream=stream)
    [entry] = produced(fake)["a"]
    assert entry.pop("began_s") + 0.02 < entry.pop("ended_s")
    assert sum(tokens for _, tokens in entry.pop("latest")) == (30 if stream else 0)
    assert entry == {"input_tokens": 3, "output_tokens": 30, "wanted_tokens": 30, "ended": "answered"}
    assert fake.stats()["output_tokens"] == 30
    assert ask(fake, "DELETE", "/fake/produced")[0] == 200
    assert produced(fake) == {}


def usages(body: bytes) -> list[Any]:
    frames = [json.loads(line[6:]) for line in body.split(b"\n\n") if line.startswith(b"data: {")]
    return [frame.get("usage") for frame in frames]


def test_running_usage_needs_include_usage_too_as_in_vllm() -> None:
    fake = Fake(Script())
    options = {"continuous_usage_stats": True}
    assert usages(identified(fake, "a", stream=True, stream_options=options)) == [None] * 3
    told = usages(identified(fake, "a", stream=True, stream_options={**options, "include_usage": True}))
    assert [each["completion_tokens"] for each in told] == [0, 1, 1, 1]


def test_completions_tell_running_usage_by_prompt() -> None:
    options = {"continuous_usage_stats": True, "include_usage": True}
    request = {"model": "m", "prompt": ["x" * 4, "x" * 40], "stream": True, "stream_options": options}
    body = ask(Fake(Script()), "POST", "/v1/completions", json.dumps(request).encode())[1]
    told = usages(body)
    assert {each["prompt_tokens"] for each in told[:-1]} == {1, 10}
    assert told[-1]["prompt_tokens"] == 11


@pytest.mark.parametrize("stream", [False, True])
def test_usage_can_be_scripted_to_be_absurd_or_missing(stream: bool) -> None:
    asked: Any = {"include_usage": True, "continuous_usage_stats": True}
    absurd = parse("rules: [{usage: {completion_tokens: 1000000000, prompt_tokens: -5}}]")
    body = identified(Fake(absurd), "a", stream=stream, stream_options=asked)
    told = usages(body) if stream else [json.loads(body)["usage"]]
    assert all((each["completion_tokens"], each["prompt_tokens"]) == (10**9, -5) for each in told)
    body = identified(Fake(parse("rules: [{usage: false}]")), "a", stream=stream, stream_options=asked)
    assert set(usages(body) if stream else [json.loads(body).get("usage")]) == {None}
