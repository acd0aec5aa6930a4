"""The ASGI app of the process that asks an outside provider: OpenAI's API in, litellm out.

The gateway's limits are its own: when one passes, or the caller leaves, it closes the connection, and the call to the
provider is cancelled with it. A stream that breaks off ends without `[DONE]` and closes the connection, so that the
gateway can tell it from one that has come to its end.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from gateway.backends import provider_call, provider_litellm, serving
from gateway.backends.provider_call import Failure, Json
from gateway.backends.serving import Receive, Scope, Send
from gateway.errors import MethodNotAllowed, UnknownPath

BODY_LIMIT_BYTES = 64 * 2**20
ENDPOINTS = {"/v1/chat/completions": "chat", "/v1/completions": "completions", "/v1/embeddings": "embeddings"}

CEILING_S = 86_400.0
"""litellm's own time limit, beyond any of the gateway's."""

_NO_TOOLS_OF_ITS_OWN = {"_skip_mcp_handler": True}
"""litellm would look for its own MCP servers among a caller's tools."""

MAX_KEY_BYTES = 65_536


class KeyUnreadable(Exception):
    """The file that should hold the key does not."""


def key_reader(api_key: str | None, file: str | None) -> Callable[[], str | None]:
    """What gives the key for a request: the one known from the start, or what the file holds now. Raises
    KeyUnreadable."""
    if file is None:
        return lambda: api_key

    def read() -> str:
        try:
            with Path(file).open("rb") as stream:
                text = stream.read(MAX_KEY_BYTES).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise KeyUnreadable(f"the key cannot be read from {file}: {type(error).__name__}") from None
        if not text or any(ord(char) < 33 or ord(char) > 126 for char in text):
            raise KeyUnreadable(f"{file} holds no key: printable ASCII without spaces is one")
        return text

    return read


class Provider:
    """The app. `litellm` is the module as `provider_litellm.load` gives it; `key` is asked for each request."""

    def __init__(self, litellm: Any, provider: str, api_base: str | None, key: Callable[[], str | None]) -> None:
        self._provider = provider
        self._api_base = api_base
        self._key = key
        self._calls: dict[str, Callable[..., Awaitable[Any]]] = {
            "chat": litellm.acompletion,
            "completions": litellm.atext_completion,
            "embeddings": litellm.aembedding,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await serving.told(send, self._route(scope["method"], scope["path"], receive, send))

    async def _route(self, method: str, path: str, receive: Receive, send: Send) -> None:
        if path == "/health":
            await serving.send_whole(send, 200, b"", "text/plain")
        elif path not in ENDPOINTS:
            raise UnknownPath(f"nothing at {path}")
        elif method != "POST":
            raise MethodNotAllowed("only POST is answered here", headers=(("allow", "POST"),))
        else:
            request = serving.decode_object(await serving.read_body(receive, BODY_LIMIT_BYTES))
            endpoint = ENDPOINTS[path]
            arguments = provider_call.arguments(endpoint, request, self._provider)
            await serving.unless_gone(receive, self._answer(endpoint, request.get("model"), arguments, send))

    async def _answer(self, endpoint: str, model: object, arguments: Json, send: Send) -> None:
        try:
            key = self._key()
        except KeyUnreadable as error:
            _tell(str(error))
            await _fail(send, Failure(502, "provider_failed", "the provider's key is not there"))
            return
        watching = provider_litellm.watch()
        try:
            answer = await self._calls[endpoint](
                model=model,
                custom_llm_provider=self._provider,
                api_base=self._api_base,
                api_key=key,
                timeout=CEILING_S,
                max_retries=0,
                **(_NO_TOOLS_OF_ITS_OWN if endpoint == "chat" else {}),
                **arguments,
            )
            if not arguments.get("stream"):
                shaped = provider_call.whole(answer.model_dump(exclude_none=True), endpoint)
                await serving.send_json(send, shaped)
                return
            frames = aiter(answer)
            first = await anext(frames, None)
        except Exception as error:  # noqa: BLE001 - whatever it raises is a failed call, and `failure` says of what kind
            await _fail(send, provider_call.failure(error, (key or "",), sent=watching.sent))
            return
        try:
            if first is None or _is_made_up(watching.stream, first):
                await _fail(send, Failure(502, "provider_failed", "the provider's stream ended before it began"))
            else:
                await self._relay(endpoint, watching.stream, frames, first, send)
        finally:
            await watching.stream.aclose()

    async def _relay(self, endpoint: str, stream: Any, frames: Any, first: Any, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        chunk = first
        while chunk is not None:
            if _is_made_up(stream, chunk):
                await _break_off(send)
                return
            shaped = provider_call.frame(chunk.model_dump(exclude_none=True), endpoint)
            if shaped["choices"] or _states_usage(stream):
                data = b"data: " + msgspec.json.encode(shaped) + b"\n\n"
                await send({"type": "http.response.body", "body": data, "more_body": True})
            try:
                chunk = await anext(frames, None)
            except Exception as error:  # noqa: BLE001 - the same: the provider broke off
                _tell(f"a stream broke off: {type(error).__name__}")
                await _break_off(send)
                return
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


def _is_made_up(stream: Any, chunk: Any) -> bool:
    """Whether litellm made this end up: it says `stop` where the provider's stream ended without a reason."""
    finished = any(choice.finish_reason for choice in chunk.choices)
    return finished and not (stream.received_finish_reason or stream.intermittent_finish_reason)


def _states_usage(stream: Any) -> bool:
    """Whether the provider stated usage; litellm would else fill in zeros."""
    return any(getattr(chunk, "usage", None) for chunk in stream.chunks)


async def _break_off(send: Send) -> None:
    """Leaves the answer unfinished, upon which the server closes the connection."""
    await send({"type": "http.response.body", "body": b"", "more_body": True})


async def _fail(send: Send, failure: Failure) -> None:
    if failure.status not in (400, 404, 413, 422):
        _tell(f"{failure.message} ({failure.code})")
    headers = () if failure.retry_after is None else (("retry-after", failure.retry_after),)
    await serving.send_whole(send, failure.status, msgspec.json.encode(failure.body), headers=headers)


def _tell(text: str) -> None:
    """A line for the operator, in the child's log. Never a prompt, an answer or a key."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
