"""A gateway with everything that decides, and a load that makes it decide: budgets, thresholds, limits, fallbacks,
retries, masks, clamps, cuts, callers that leave, and a worker that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.gateway_process import GatewayProcess
from tests.support.ports import free_port
from tests.support.server_process import scripted_fake

SCRIPT = """
rules:
  - {match: "busy", model: frail, status: 503}
  - {match: "broken", model: frail, status: 500}
  - {match: "drops", model: frail, drop: true}
  - {match: "long", answer: word, tokens: 150, tokens_per_s: 3000}
  - {match: "silent", answer: "one two three", usage: false}
  - {match: "snaps", answer: "one two three four", cut_after_frames: 2}
  - {match: "slow", answer: word, tokens: 100, token_delay_ms: 1000}
"""
KEYS = {name: f"lg-test-{name}" for name in ("rich", "thresholds", "poor", "limited", "masked", "booked")}
DEAR = {"input": "$1/1M", "output": "$10/1M"}
CHEAP = {"input": "$0.1/1M", "output": "$1/1M"}
TEXTS = (
    *("hello", "a long story", "silent", "mail joe@example.org", "plutonium", "hello again", "tell me something long"),
)
FAILING = ("busy", "broken", "drops")
SURELY = (
    ("thresholds", "m", "a long story", 8),
    ("poor", "m", "a long story", 20),
    ("limited", "small", "hello", 18),
    ("masked", "m", "mail joe@example.org", 1),
    ("masked", "m", "plutonium", 1),
    ("rich", "fails", "busy", 2),
    ("rich", "fails", "broken", 2),
    ("rich", "dead", "hello", 4),
)
"""Tenant, model, text, and how often: enough of each for something to be decided."""
MODELS = ("m", "m", "m", "fails", "dead", "small", "small", "nowhere")


@contextlib.contextmanager
def upstreams(folder: Path) -> Iterator[list[str]]:
    """The addresses of two fakes, and of nobody."""
    with contextlib.ExitStack() as stack:
        found = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            found.append(stack.enter_context(scripted_fake(folder / name, SCRIPT)).address)
        yield [*found, f"http://127.0.0.1:{free_port()}"]


def configuration(urls: list[str]) -> dict[str, Any]:
    """Two endpoints that answer, one backend that only fails where the text says so, one of which half is dead."""
    one, two, nobody = urls

    def backend(*found: str) -> dict[str, Any]:
        return {"kind": "vllm", "endpoints": [{"url": url} for url in found]}

    def tenant(name: str, **sections: Any) -> dict[str, Any]:
        key = {"hash": "sha256:" + hashlib.sha256(KEYS[name].encode()).hexdigest(), **sections.pop("key", {})}
        return {"models": ["m", "fails", "dead", "small"], "keys": {"app": key}, **sections}

    at = {"20%": {"downgrade": "small"}, "60%": "clamp"}
    masks = {"check": "pii", "phase": ["input", "output"], "action": "mask", "entities": ["EMAIL_ADDRESS"]}
    forbids = {"check": "keywords", "phase": "input", "words": ["plutonium"], "code": "arms", "action": "block"}
    return {
        "server": {"workers": 1, "retries": {"attempts": 3, "share": "20%"}},
        "backends": {"fleet": backend(one, two), "single": backend(one), "half": backend(nobody, two)},
        "models": {
            "m": {"backend": "fleet", "served_model": "served", "price": DEAR, "max_output": 200},
            "fails": {
                "backend": "single",
                "served_model": "frail",
                "price": DEAR,
                "max_output": 200,
                "fallback": ["m", "small"],
            },
            "dead": {"backend": "half", "price": DEAR, "max_output": 200, "fallback": ["small"]},
            "small": {"backend": "fleet", "served_model": "tiny", "price": CHEAP, "max_output": 200},
        },
        "chains": {"c": [masks, forbids]},
        "tenants": {
            "rich": tenant("rich", meters=[{"cap": "$100", "window": "month"}]),
            "thresholds": tenant("thresholds", meters=[{"cap": "$0.05", "window": "lifetime", "at": at}]),
            "poor": tenant("poor", meters=[{"cap": "$0.02", "window": "lifetime"}]),
            "limited": tenant(
                "limited", meters=[{"cap": "15 requests", "window": "60s"}, {"cap": "3 concurrent"}], models=["*"]
            ),
            "masked": tenant("masked", chain="c"),
            "booked": tenant(
                "booked",
                projects={"p": {"meters": [{"cap": "$0.05", "window": "day"}]}, "q": {}},
                key={"projects": ["p", "q"]},
            ),
        },
    }


async def drive(gateway: GatewayProcess, count: int, seed: int = 7, at_once: int = 16) -> None:
    """Asks so often, by chance; half way through, the worker is killed while it answers."""
    random = Random(seed)
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    turns = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(base_url=gateway.data, timeout=60, limits=limits) as client:
        await asyncio.gather(*(_each_in_turn(client, *each) for each in SURELY))
        wanted = [_wanted(random, number) for number in range(count)]
        await asyncio.gather(*(_ask(gateway.data, turns, *each) for each in wanted[: count // 2]))
        begun = [asyncio.Event() for _ in range(3)]
        running = [asyncio.create_task(_slow(client, each)) for each in begun]
        for each in begun:
            await each.wait()
        os.kill(gateway.worker_pids()[0], signal.SIGKILL)
        await asyncio.gather(*running)
        await asyncio.to_thread(gateway.until_event, "worker_ready", 2)
        await asyncio.gather(*(_ask(gateway.data, turns, *each) for each in wanted[count // 2 :]))


def _wanted(random: Random, number: int) -> tuple[str, dict[str, Any], dict[str, str], float]:
    """Path, body, headers, and how long it is waited for."""
    tenant = random.choice(list(KEYS))
    headers = {"authorization": f"Bearer {KEYS[tenant]}"}
    if tenant == "booked":
        headers["x-lockgate-project"] = random.choice(("p", "q", "q", "wrong"))
    if random.random() < 0.3:
        headers["x-lockgate-conversation-id"] = f"c-{random.randrange(6)}"
    if number % 50 == 0:
        headers["authorization"] = "Bearer nobody"
    model = random.choice(MODELS)
    text = random.choice(FAILING if model == "fails" and random.random() < 0.5 else TEXTS)
    if random.random() < 0.2:
        return "/v1/embeddings", {"model": model, "input": text}, headers, 60.0
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    if random.random() < 0.6:
        body["max_tokens"] = random.choice((5, 40, 150))
    if random.random() < 0.1:
        body["n"] = 2
    body["stream"] = random.random() < 0.4
    leaves = random.random() < 0.03
    return "/v1/chat/completions", body, headers, 0.02 if leaves else 60.0


async def _ask(
    gateway: str, turns: asyncio.Semaphore, path: str, body: dict[str, Any], headers: dict[str, str], within_s: float
) -> None:
    """On a connection of its own, whose end is the answer's: a client library would cost more than the gateway."""
    content = json.dumps(body).encode()
    given = {"host": "gateway", "content-type": "application/json", "connection": "close", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    address = urlsplit(gateway)
    async with turns:
        with contextlib.suppress(OSError, TimeoutError):  # its worker was killed, or it left
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            try:
                async with asyncio.timeout(within_s):
                    writer.write(
                        f"POST {path} HTTP/1.1\r\n{head}content-length: {len(content)}\r\n\r\n".encode() + content
                    )
                    await reader.read()
            finally:
                writer.close()


async def _each_in_turn(client: httpx.AsyncClient, tenant: str, model: str, text: str, times: int) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 150}
    for _ in range(times):
        await client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {KEYS[tenant]}"})


async def _slow(client: httpx.AsyncClient, begun: asyncio.Event) -> None:
    """A stream that goes on for longer than the worker lives."""
    body = {"model": "m", "messages": [{"role": "user", "content": "slow"}], "stream": True, "max_tokens": 150}
    headers = {"authorization": f"Bearer {KEYS['rich']}"}
    try:
        async with client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
            assert answer.status_code == 200
            async for _ in answer.aiter_raw():
                begun.set()
    except httpx.TransportError:
        pass  # as is meant
    finally:
        begun.set()
