"""The scripted server as a process: what a client sees on the wire, and how it starts and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.gateway_process import until
from tests.support.server_process import ROOT, ServerProcess, address_of, serving

FAKE = "gateway.backends.fake"
SCRIPT = """
rules:
  - {match: once, times: 1, status: 503, message: not now, headers: {retry-after: "1"}}
  - {match: drop, drop: true}
  - {match: cut, answer: one two three four, cut_after_frames: 2}
  - {match: hang, hang: true}
  - {match: slow, answer: word, tokens: 100000, token_delay_ms: 1}
  - {match: raw, raw: "data: \\xff\\n\\n"}
  - {match: paced, answer: word, tokens: 100000, tokens_per_s: 2000}
  - {match: tool, tool_calls: [{name: get_weather, arguments: {city: Paris}}]}
"""


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    script = tmp_path_factory.mktemp("fake") / "script.yaml"
    script.write_text(SCRIPT)
    with serving(FAKE, "--script", str(script)) as server:
        yield server


@pytest.fixture
def client(fake: ServerProcess) -> Iterator[httpx.Client]:
    with fake.client() as client:
        yield client


def request(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


def stats(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/fake/stats").json()
    return found


def test_the_openai_sdk_gets_what_it_asks_for(fake: ServerProcess) -> None:
    with openai.OpenAI(base_url=fake.address + "/v1", api_key="any", max_retries=0) as sdk:
        messages: Any = [{"role": "user", "content": "hello wörld"}]
        whole = sdk.chat.completions.create(model="m", messages=messages, n=2, logprobs=True, top_logprobs=2)
        assert [choice.message.content for choice in whole.choices] == ["hello wörld"] * 2
        stream = sdk.chat.completions.create(
            model="m", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "hello wörld"
        assert whole.usage is not None
        assert chunks[-1].usage is not None
        assert 2 * chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
        called = sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "tool"}])
        assert called.choices[0].message.tool_calls is not None
        assert called.choices[0].finish_reason == "tool_calls"
        completion = sdk.completions.create(model="m", prompt=["a", "b"], max_tokens=1, logprobs=1)
        assert [choice.text for choice in completion.choices] == ["a", "b"]
        vectors = sdk.embeddings.create(model="m", input=["x", "y"], dimensions=16)
        assert [len(entry.embedding) for entry in vectors.data] == [16, 16]
        assert [model.id for model in sdk.models.list().data] == ["fake"]


def test_a_rule_for_one_request_leaves_the_next_one_alone(client: httpx.Client) -> None:
    answers = [client.post("/v1/chat/completions", json=request("once")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]
    assert answers[0].headers["retry-after"] == "1"
    assert answers[0].json()["error"]["message"] == "not now"


@pytest.mark.parametrize("stream", [False, True])
def test_a_dropped_connection_ends_before_any_answer(client: httpx.Client, stream: bool) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.post("/v1/chat/completions", json=request("drop", stream=stream))


def test_a_cut_answer_ends_within_its_body(client: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/v1/chat/completions", json=request("cut"))


def test_a_cut_stream_ends_after_as_many_frames_as_the_script_says(client: httpx.Client) -> None:
    frames: list[str] = []
    with (
        pytest.raises(httpx.RemoteProtocolError),
        client.stream("POST", "/v1/chat/completions", json=request("cut", stream=True)) as answer,
    ):
        frames += (line for line in answer.iter_lines() if line)
    assert len(frames) == 2
    assert "[DONE]" not in frames[-1]


def test_raw_bytes_are_sent_as_they_are(client: httpx.Client) -> None:
    answer = client.post("/v1/chat/completions", json=request("raw", stream=True))
    assert answer.content == b"data: \xff\n\n"
    assert answer.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize(("text", "stream"), [("slow", True), ("hang", False)])
def test_a_client_that_leaves_is_noticed_and_its_answer_is_not_finished(
    fake: ServerProcess, client: httpx.Client, text: str, stream: bool
) -> None:
    before = stats(client)
    body = json.dumps(request(text, stream=stream)).encode()
    host, port = fake.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        until(lambda: stats(client)["active"] == 1, "the request runs")
        if stream:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    until(lambda: stats(client)["active"] == 0, "the request has ended")
    assert stats(client)["aborted"] == before["aborted"] + 1
    assert stats(client)["output_tokens"] < 100_000


def test_a_client_that_hangs_up_and_reads_to_the_end_has_every_token_that_was_counted(
    fake: ServerProcess, client: httpx.Client
) -> None:
    body = json.dumps(request("paced", stream=True)).encode()
    host, port = fake.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-request-id: hung-up\r\ncontent-length: %d\r\n\r\n"
            % len(body)
            + body
        )
        received = b""
        while received.count(b'"word"') < 50:
            received += connection.recv(65536)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            received += part
    until(lambda: stats(client)["active"] == 0, "the request has ended")
    [entry] = client.get("/fake/produced").json()["hung-up"]
    assert entry["ended"] == "left"
    assert 50 <= received.count(b'"word"') == entry["output_tokens"] < 100_000


def test_an_unstreamed_answer_whose_client_leaves_was_produced_up_to_then(
    fake: ServerProcess, client: httpx.Client
) -> None:
    headers = {"x-request-id": "left"}
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json=request("paced"), headers=headers, timeout=0.3)
    until(lambda: stats(client)["active"] == 0, "the request has ended")
    [entry] = client.get("/fake/produced").json()["left"]
    assert entry["ended"] == "left"
    assert 0 < entry["output_tokens"] < 100_000


def test_the_script_can_be_changed_while_it_runs() -> None:
    with serving(FAKE, "--answer", "before") as server, server.client() as client:
        said = [client.post("/v1/chat/completions", json=request("x")).json()]
        assert client.post("/fake/script", content="answer: after").status_code == 200
        said.append(client.post("/v1/chat/completions", json=request("x")).json())
    assert [answer["choices"][0]["message"]["content"] for answer in said] == ["before", "after"]


def test_what_a_client_sent_can_be_looked_at(client: httpx.Client) -> None:
    client.post("/v1/chat/completions", json=request("look"), headers={"x-mark": "7"})
    last = client.get("/fake/requests").json()[-1]
    assert ["x-mark", "7"] in last["headers"]
    assert json.loads(last["body"]) == request("look")


def test_a_unix_socket_is_for_its_owner_and_gone_after_the_end(tmp_path: Path) -> None:
    path = tmp_path / "fake.sock"
    with serving(FAKE, "--socket", str(path)) as server:
        assert server.address == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o600
        with server.client() as client:
            assert client.get("/health").status_code == 200
        assert server.stop() == 0
    assert not path.exists()


def test_the_socket_of_a_killed_server_is_taken_over_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "fake.sock"
    with serving(FAKE, "--socket", str(path)) as first:
        first.process.kill()
        first.process.wait(10)
        with serving(FAKE, "--socket", str(path)) as second, second.client() as client:
            with pytest.raises(AssertionError, match="in use"), serving(FAKE, "--socket", str(path)):
                pass
            assert client.get("/health").status_code == 200


def test_a_port_in_use_is_a_clear_end(fake: ServerProcess) -> None:
    with pytest.raises(AssertionError, match="cannot listen"), serving(FAKE, "--port", fake.address.rsplit(":", 1)[1]):
        pass


def test_the_server_ends_when_its_parent_is_killed() -> None:
    parent = (
        "import os, subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-m', {FAKE!r}, '--parent', str(os.getpid())])\n"
        "sys.stdin.read()\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        address = address_of(process)
        assert httpx.get(address + "/health").status_code == 200
        process.send_signal(signal.SIGKILL)
        assert process.stdout is not None
        assert process.stdout.read() == b""  # ends when the server, which holds the pipe too, has ended
    with pytest.raises(httpx.ConnectError):
        httpx.get(address + "/health")
