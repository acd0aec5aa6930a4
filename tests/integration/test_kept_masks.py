"""Values masked in a conversation that a backend keeps: they come back in the answers of later requests, whichever
worker those come to.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.offload.client import CheckClient
from tests.support import responses_events
from tests.support.check_server import check_process
from tests.support.gateway import KEY, config, serving
from tests.support.running import run
from tests.support.screening import MAIL, PUTS_BACK
from tests.support.upstream import LAST_CHUNK, STREAM_HEAD, Talk, Upstream, chunk, unary

OTHER = "ann@example.org"


async def says_it(talk: Talk) -> None:
    """Answers with the input's first words, as whoever keeps the conversation could; streamed or not."""
    asked = json.loads(talk.seen.body)
    text = str(asked["input"])
    if "they were" in text:  # what it was told before
        seen = [json.loads(each.body)["input"] for each in talk.upstream.seen[:-1]]
        text = " ".join(word for said in seen for word in said.split() if word.startswith("["))
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"id": "i1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    whole = {"id": asked["request_id"], "object": "response", "status": "completed", "output": [item], "model": "s"}
    if not asked.get("stream"):
        await talk.send(unary(json.dumps(whole).encode()))
        return
    at = {"item_id": "i1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**whole, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": character, "logprobs": []} for character in text),
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    frames = [b"event: %b\ndata: %b\n\n" % (each["type"].encode(), json.dumps(each).encode()) for each in events]
    await talk.send(STREAM_HEAD + b"".join(map(chunk, frames)) + LAST_CHUNK)


class Workers:
    """Two, in front of one backend that keeps answers."""

    def __init__(self, clients: list[httpx.AsyncClient], upstream: Upstream) -> None:
        self._clients = clients
        self._upstream = upstream

    async def ask(self, worker: int, text: str, before: str | None = None, *, stream: bool = False) -> tuple[str, str]:
        """What is said, and the answer's id."""
        asked = {"model": "m", "input": text, "stream": stream, "previous_response_id": before}
        answer = await self._clients[worker].post(
            "/v1/responses", json={name: value for name, value in asked.items() if value is not None}
        )
        assert answer.status_code == 200, answer.text
        told = responses_events.accumulate(answer.content) if stream else answer.json()
        return told["output"][0]["content"][0]["text"], told["id"]

    def told(self) -> str:
        """What the backend was told last."""
        return str(json.loads(self._upstream.seen[-1].body)["input"])


@contextlib.asynccontextmanager
async def workers(tmp_path: Path, socket: Path) -> AsyncIterator[Workers]:
    async with contextlib.AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream([says_it]))
        found = config({"b": [upstream.url]}, backend={"keeps_responses": True}, chain=[PUTS_BACK])
        clients = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            running = await stack.enter_async_context(serving(found, tmp_path / name))
            checks = running.gw.checks = CheckClient(socket)
            stack.callback(checks.close)
            headers = {"authorization": f"Bearer {KEY}"}
            client = httpx.AsyncClient(base_url=running.url, headers=headers, timeout=60)
            clients.append(await stack.enter_async_context(client))
        yield Workers(clients, upstream)


@pytest.mark.parametrize("stream", [False, True])
def test_placeholders_of_earlier_requests_come_back_as_their_values(tmp_path: Path, stream: bool) -> None:
    async def main() -> None:
        with check_process(tmp_path / "checks"):
            async with workers(tmp_path, tmp_path / "checks") as both:
                said, first = await both.ask(0, f"Mail {MAIL} soon", stream=stream)
                assert said == f"Mail {MAIL} soon"
                placeholder = both.told().split()[1]
                assert placeholder.startswith("[EMAIL_ADDRESS_")
                said, second = await both.ask(1, "who they were?", first, stream=stream)
                assert said == MAIL
                said, third = await both.ask(0, f"and {OTHER} or {MAIL} too", second, stream=stream)
                assert said == f"and {OTHER} or {MAIL} too"
                assert both.told().split()[3] == placeholder  # the same value, the same placeholder
                said, _ = await both.ask(1, "who they were?", third, stream=stream)
                assert said == f"{MAIL} {OTHER} {MAIL}"
                said, _ = await both.ask(1, "who they were?", stream=stream)  # another conversation
                assert MAIL not in said
                assert placeholder in said

    run(main())


def test_without_a_check_process_a_conversation_goes_on_and_says_placeholders(tmp_path: Path) -> None:
    async def main() -> None:
        async with workers(tmp_path, tmp_path / "nobody") as both:
            said, first = await both.ask(0, f"Mail {MAIL} soon")
            assert said == f"Mail {MAIL} soon"
            said, _ = await both.ask(1, "who they were?", first)
            assert said.startswith("[EMAIL_ADDRESS_")

    run(main())
