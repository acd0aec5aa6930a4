"""A gateway with an outside provider: `lockgate serve` in the environment that has litellm, and a local provider."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import provider_formats as formats
from tests.support.gateway_process import (
    KEY,
    GatewayProcess,
    chat_body,
    descendants,
    launch,
    minimal,
    serving,
    until,
    write,
)
from tests.support.ports import free_port
from tests.support.providers import PYTHON, VARIABLE, environment, require, until_left
from tests.support.running import run
from tests.support.upstream import Script, Upstream, hangs, says

MODELS = {
    "gpt": {"backend": "openai", "served_model": "gpt-4o-mini"},
    "claude": {"backend": "anthropic", "served_model": "claude-sonnet-4-5"},
    "backed": {"backend": "openai", "served_model": "gpt-4o-mini", "fallback": ["small"]},
    "small": {"backend": "scripted"},
}


def configuration(ports: dict[str, int], key_file: Path) -> dict[str, Any]:
    """Both providers, one with its key from the environment and one from a file."""
    return minimal(
        server={"workers": 1, "limits": {"first_byte_s": 3, "idle_s": 3}, "retries": {"attempts": 1}},
        models=MODELS,
        backends={
            "scripted": {"kind": "fake"},
            "openai": {
                "kind": "provider",
                "provider": "openai",
                "api_key": f"${{{VARIABLE}}}",
                "api_base": f"http://127.0.0.1:{ports['openai']}/v1",
            },
            "anthropic": {
                "kind": "provider",
                "provider": "anthropic",
                "api_key_file": str(key_file),
                "api_base": f"http://127.0.0.1:{ports['anthropic']}",
            },
        },
    )


class Served:
    """A gateway and the ports where its providers are to be."""

    def __init__(self, gateway: GatewayProcess, ports: dict[str, int], key_file: Path) -> None:
        self.gateway = gateway
        self.ports = ports
        self.key_file = key_file

    @asynccontextmanager
    async def provider(self, name: str, script: Script) -> AsyncIterator[tuple[httpx.AsyncClient, Upstream]]:
        """A provider whose requests get `script`, and a caller of the gateway."""
        headers = {"authorization": f"Bearer {KEY}"}
        async with (
            Upstream([script], self.ports[name]) as upstream,
            httpx.AsyncClient(base_url=self.gateway.data, headers=headers, timeout=20) as caller,
        ):
            yield caller, upstream


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    require()
    root = tmp_path_factory.mktemp("gateway")
    key_file = root / "key"
    key_file.write_text(formats.KEY + "\n")
    ports = {"openai": free_port(), "anthropic": free_port()}
    with serving(root, configuration(ports, key_file), environment=environment(), python=PYTHON) as gateway:
        yield Served(gateway, ports, key_file)


def ask(served: Served, name: str, script: Script, body: bytes) -> tuple[httpx.Response, int]:
    """The answer of one request to the gateway, and how often the provider was asked."""

    async def main() -> tuple[httpx.Response, int]:
        async with served.provider(name, script) as (caller, upstream):
            return await caller.post("/v1/chat/completions", content=body), len(upstream.seen)

    return run(main())


@pytest.mark.providers
@pytest.mark.parametrize(("model", "name"), [("gpt", "openai"), ("claude", "anthropic")])
def test_a_provider_answers_through_the_gateway_and_its_usage_is_recorded(
    served: Served, model: str, name: str
) -> None:
    answer, _ = ask(served, name, formats.speaks(name), chat_body("one two three", model))
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "three two one"

    answer, _ = ask(served, name, formats.speaks(name), chat_body("one two three", model, stream=True))
    frames = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line.startswith("data: {")]
    assert answer.text.endswith("data: [DONE]\n\n")
    assert "".join(frame["choices"][0]["delta"].get("content", "") for frame in frames) == "three two one"
    assert not any("usage" in frame for frame in frames)  # the caller did not ask for it

    def ended() -> list[Any]:
        return [event for event in served.gateway.events("request_ended") if event["model"] == model]

    until(lambda: len(ended()) == 2, "both requests are in the access log")
    assert {(e["input_tokens"], e["cached_input_tokens"], e["output_tokens"]) for e in ended()} == {(6, 4, 3)}


@pytest.mark.providers
def test_anthropics_format_is_translated_for_a_provider_too(served: Served) -> None:
    body = json.dumps({"model": "gpt", "max_tokens": 9, "messages": [{"role": "user", "content": "one two"}]}).encode()

    async def main() -> httpx.Response:
        async with served.provider("openai", formats.speaks("openai")) as (caller, _):
            return await caller.post("/v1/messages", content=body)

    answer = run(main())
    assert answer.status_code == 200, answer.text
    assert [block["text"] for block in answer.json()["content"]] == ["two one"]
    assert answer.json()["stop_reason"] == "end_turn"


@pytest.mark.providers
def test_a_refusal_of_our_key_is_the_operators_affair_and_a_fallback_answers(served: Served) -> None:
    refusal = formats.refusal(401, f"Incorrect API key provided: {formats.KEY}")
    answer, asked = ask(served, "openai", says(refusal), chat_body("x", "gpt"))
    assert (answer.status_code, answer.json()["error"]["code"], asked) == (502, "upstream_failed", 1)
    assert formats.KEY not in answer.text
    answer, _ = ask(served, "openai", says(refusal), chat_body("x", "backed"))
    assert answer.status_code == 200
    log = (served.gateway.state_dir / "run" / "openai.log").read_text()
    assert "the provider refused the gateway's key" in log


@pytest.mark.providers
def test_a_rate_limit_is_passed_on_with_its_time(served: Served) -> None:
    refusal = formats.refusal(429, "slower", headers=b"retry-after: 9\r\n")
    answer, _ = ask(served, "anthropic", says(refusal), chat_body("x", "claude"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "upstream_busy")
    assert answer.headers["retry-after"] == "9"


@pytest.mark.providers
def test_what_a_provider_says_of_a_request_reaches_its_caller(served: Served) -> None:
    answer, _ = ask(served, "openai", says(formats.refusal(400, "no such voice")), chat_body("x", "gpt"))
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "no such voice")


@pytest.mark.providers
@pytest.mark.parametrize(("model", "name"), [("gpt", "openai"), ("claude", "anthropic")])
def test_a_provider_that_hangs_is_left_when_the_gateways_time_is_over(served: Served, model: str, name: str) -> None:
    async def main() -> None:
        async with served.provider(name, hangs()) as (caller, upstream):
            answer = await caller.post("/v1/chat/completions", content=chat_body("x", model))
            assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
            await until_left(upstream)

    run(main())


@pytest.mark.providers
@pytest.mark.parametrize(("model", "name"), [("gpt", "openai"), ("claude", "anthropic")])
def test_a_stream_that_a_provider_breaks_off_ends_with_an_error_frame(served: Served, model: str, name: str) -> None:
    for cleanly in (True, False):
        script = formats.breaks_off(name, 4, cleanly=cleanly)
        answer, _ = ask(served, name, script, chat_body("one two three", model, stream=True))
        assert '"code":"stream_broken"' in answer.text
        assert '"finish_reason":"stop"' not in answer.text


@pytest.mark.providers
@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_who_leaves_cancels_the_call_to_the_provider(served: Served, stream: bool) -> None:
    async def main() -> None:
        async with served.provider("openai", formats.stops_after("openai", 3) if stream else hangs()) as (_, upstream):
            headers = {"authorization": f"Bearer {KEY}"}
            async with httpx.AsyncClient(base_url=served.gateway.data, headers=headers) as leaving:
                body = chat_body("x", "gpt", stream=stream)
                waiting = asyncio.create_task(leaving.post("/v1/chat/completions", content=body))
                await upstream.arrived.wait()
                waiting.cancel()
            await until_left(upstream)

    run(main())


@pytest.mark.providers
def test_a_key_in_a_file_can_change_without_a_reload(served: Served) -> None:
    served.key_file.write_text("sk-another")
    answer, _ = ask(served, "anthropic", formats.speaks("anthropic"), chat_body("x", "claude"))
    assert answer.status_code == 502
    served.key_file.write_text(formats.KEY)
    answer, _ = ask(served, "anthropic", formats.speaks("anthropic"), chat_body("x", "claude"))
    assert answer.status_code == 200, answer.text


@pytest.mark.providers
def test_the_key_is_in_no_argument_no_file_and_no_log(served: Served) -> None:
    ask(served, "openai", formats.speaks("openai"), chat_body("x", "gpt"))
    arguments = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in descendants(served.gateway.pid))
    assert b"gateway.backends.provider" in arguments
    assert formats.KEY.encode() not in arguments
    written = [path for path in served.gateway.state_dir.rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if formats.KEY.encode() in path.read_bytes()] == []
    assert formats.KEY not in served.gateway.log.read_text()


def test_without_the_extra_the_gateway_does_not_start_and_says_what_to_install(tmp_path: Path) -> None:
    if importlib.util.find_spec("litellm"):
        pytest.skip("litellm is installed here")
    key_file = tmp_path / "key"
    key_file.write_text("sk-x")
    write(tmp_path / "config", configuration({"openai": 1, "anthropic": 2}, key_file))
    gateway = launch(tmp_path / "config", tmp_path / "state", environment=environment())
    try:
        assert gateway.wait() == 1
        assert "pip install 'lockgate[providers]'" in gateway.logged()
    finally:
        assert gateway.process.stdout is not None
        gateway.process.stdout.close()
