"""A gateway with a chain of checks, in front of an upstream that says what it was told; what is asked of the check
process is answered by the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from gateway.backends.base import DIALECTS
from gateway.offload.client import CheckClient, Done
from guardrails.check import Need
from tests.support.echo import Say, echo
from tests.support.gateway import KEY, Running, config, serving
from tests.support.running import until
from tests.support.upstream import Script, Upstream

MAIL = "joe@example.org"
HIDES: dict[str, Any] = {"check": "pii", "phase": ["input", "output"], "action": "mask", "entities": ["EMAIL_ADDRESS"]}
PUTS_BACK: dict[str, Any] = HIDES | {"action": "mask_reversible"}
FORBIDS: dict[str, Any] = {"check": "keywords", "words": ["plutonium"], "code": "arms", "action": "block"}
JUDGES: dict[str, Any] = {"check": "injection", "phase": "input", "action": "block", "threshold": 0.5}
SENTENCES: dict[str, Any] = {"check": "toxicity", "phase": "output", "action": "block", "threshold": 0.5}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "send", "parameters": {"type": "object"}}}


class Asked(CheckClient):
    """What the check process would say: a score for each text, or why there is none."""

    def __init__(self, score: Callable[[str], float | str]) -> None:
        super().__init__(Path("nowhere"))
        self._score = score

    def ask(self, need: Need, deadline_ms: int | None, done: Done) -> None:
        said = self._score(need.text)
        answer = (None, said) if isinstance(said, str) else (said, "")
        asyncio.get_running_loop().call_soon(done, *answer)


class Checked:
    """A gateway with a chain, its upstream and a client."""

    def __init__(self, gateway: Running, upstream: Upstream, client: httpx.AsyncClient) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.client = client

    async def ask(self, text: str, **fields: Any) -> httpx.Response:
        messages = fields.pop("messages", [{"role": "user", "content": text}])
        return await self.client.post("/v1/chat/completions", json={"model": "m", "messages": messages, **fields})

    def told(self) -> Any:
        """What the upstream was told last."""
        return json.loads(self.upstream.seen[-1].body)

    async def verdicts(self) -> list[str]:
        """Of the last request."""
        await until(lambda: self.gateway.gw.in_flight == 0, "requests end")
        return self.gateway.records()[-1].verdicts.split()


@contextlib.asynccontextmanager
async def checked(
    folder: Path,
    *chain: Mapping[str, Any],
    score: Callable[[str], float | str] = lambda text: 0.0,
    say: Say = str,
    size: int = 7,
    script: Script | None = None,
    dialect: str = "vllm",
    **settings: Any,
) -> AsyncIterator[Checked]:
    async with (
        Upstream([script or echo(size, say)]) as upstream,
        serving(config({"b": [upstream.url]}, chain=chain, **settings), folder) as gateway,
        httpx.AsyncClient(base_url=gateway.url, headers={"authorization": f"Bearer {KEY}"}, timeout=60) as client,
    ):
        gateway.gw.checks = Asked(score)
        gateway.gw.backends["b"].dialect = DIALECTS[dialect]
        yield Checked(gateway, upstream, client)


def said(answer: httpx.Response) -> list[str]:
    """The content of every choice."""
    return [choice["message"]["content"] for choice in answer.json()["choices"]]


def streamed(answer: httpx.Response) -> tuple[dict[int, str], dict[int, str]]:
    """Of a stream: each choice's content, and how it ended."""
    content: dict[int, str] = {}
    finish: dict[int, str] = {}
    frames = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line.startswith("data: ")]
    assert frames[-1] == "[DONE]"
    for frame in map(json.loads, frames[:-1]):
        assert "error" not in frame, frame
        for choice in frame["choices"]:
            content[choice["index"]] = content.get(choice["index"], "") + (choice["delta"].get("content") or "")
            if choice.get("finish_reason"):
                finish[choice["index"]] = choice["finish_reason"]
    return content, finish
