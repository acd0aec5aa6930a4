"""The fake server's ASGI app: routes, counters, and the doing of what a rule says.

Under `/fake/` it tells what happened and takes a new script; those paths answer loopback and unix-socket clients only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

import msgspec

from gateway.backends import fake_script, serving
from gateway.backends.fake_answers import Answer, Json, chat_prompt, decide, texts, whole_number
from gateway.backends.fake_format import (
    Frame,
    Head,
    chat_frames,
    chat_whole,
    embeddings_whole,
    text_frames,
    text_whole,
    usage_of,
    with_running_usage,
)
from gateway.backends.fake_produced import Pace, Produced, Production
from gateway.backends.fake_script import Director, Rule, Script
from gateway.backends.fake_tokens import PrefixCache, text_of, token_id, tokenise
from gateway.backends.serving import Gone, Receive, Scope, Send
from gateway.clock import Clock, SystemClock
from gateway.errors import (
    ConfigError,
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    ModelNotFound,
    Unauthenticated,
    UnknownPath,
)

BODY_LIMIT_BYTES = 64 * 2**20
KEPT_REQUESTS = 32
KEPT_BODY_BYTES = 65536
COUNTS = ("requests", "active", "aborted", "failed", "input_tokens", "output_tokens", "tokenized")
ENDPOINTS = {"/v1/chat/completions": "chat", "/v1/completions": "completions", "/v1/embeddings": "embeddings"}


class ScriptedFailure(GatewayError):
    """A status the script asks for."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.message, headers=tuple(rule.headers.items()))
        self.sent_status = rule.status


class Fake:
    """The ASGI app and its counters. `models` empty: every name is served."""

    def __init__(
        self,
        script: Script,
        *,
        models: tuple[str, ...] = (),
        api_key: str | None = None,
        context_tokens: int = 131_072,
        prefix_blocks: int = 4096,
        clock: Clock | None = None,
    ) -> None:
        self.director = Director(script)
        self.models = models
        self.api_key = api_key
        self.context_tokens = context_tokens
        self.cache = PrefixCache(prefix_blocks)
        self.clock = clock or SystemClock()
        self.counts = dict.fromkeys(COUNTS, 0)
        self.kept: deque[Json] = deque(maxlen=KEPT_REQUESTS)
        self.produced = Produced()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await serving.told(send, self._route(scope, receive, send))

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if path in ENDPOINTS:
            _allow(method, "POST")
            await self._inference(scope, receive, send)
        elif path in ("/health", "/ping"):
            await serving.send_whole(send, 200, b"", "text/plain")
        elif path == "/v1/models":
            _allow(method, "GET")
            self._authenticate(scope)
            listed = [self._model(name) for name in self.models or ("fake",)]
            await serving.send_json(send, {"object": "list", "data": listed})
        elif path.startswith("/v1/models/"):
            _allow(method, "GET")
            self._authenticate(scope)
            await serving.send_json(send, self._model(self._known(path.removeprefix("/v1/models/"))))
        elif path in ("/tokenize", "/detokenize"):
            _allow(method, "POST")
            request = serving.decode_object(await serving.read_body(receive, BODY_LIMIT_BYTES))
            await serving.send_json(send, self._tokenise(request) if path == "/tokenize" else _detokenise(request))
        elif path.startswith("/fake/") and _is_local(scope):
            await self._control(scope, receive, send)
        else:
            raise UnknownPath(f"nothing at {path}")

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /fake/stats, GET /fake/requests (the last 32: path, headers, body), POST /fake/script (YAML or JSON),
        GET and DELETE /fake/produced (what each request id has made it produce).
        """
        match scope["method"], scope["path"]:
            case "GET", "/fake/stats":
                await serving.send_json(send, self.stats())
            case "GET", "/fake/requests":
                await serving.send_json(send, list(self.kept))
            case "GET", "/fake/produced":
                await serving.send_json(send, self.produced.table())
            case "DELETE", "/fake/produced":
                self.produced.clear()
                await serving.send_json(send, {})
            case "POST", "/fake/script":
                try:
                    self.director.replace(fake_script.parse(await serving.read_body(receive, BODY_LIMIT_BYTES)))
                except ConfigError as exc:
                    raise InvalidRequest(str(exc)) from None
                await serving.send_json(send, {"rules": len(self.director.script.rules)})
            case _:
                raise UnknownPath(f"nothing at {scope['method']} {scope['path']}")

    def stats(self) -> Json:
        """What happened since the start; `requests` are POSTs to three endpoints, `aborted` had clients that left,
        `tokenized` are the texts that were only counted.
        """
        cache = self.cache
        prefix = {"queried_tokens": cache.queried_tokens, "hit_tokens": cache.hit_tokens}
        return {
            **self.counts,
            "prefix_cache": {**prefix, "blocks": len(cache), "capacity_blocks": cache.capacity_blocks},
        }

    def _model(self, name: str) -> Json:
        return {
            "id": name,
            "object": "model",
            "created": 0,
            "owned_by": "lockgate",
            "max_model_len": self.context_tokens,
        }

    def _known(self, name: object) -> str:
        if not isinstance(name, str) or not name:
            raise InvalidRequest("model must be a text", param="model")
        if self.models and name not in self.models:
            raise ModelNotFound(f"the model {name!r} does not exist", param="model")
        return name

    def _authenticate(self, scope: Scope) -> None:
        if self.api_key is not None:
            sent = dict(scope["headers"]).get(b"authorization", b"")
            if sent != b"Bearer " + self.api_key.encode():
                raise Unauthenticated("the key is not valid")

    def _tokenise(self, request: Json) -> Json:
        self.counts["tokenized"] += 1
        template = self.director.script.template_tokens
        prompt = chat_prompt(request, template)[0] if "messages" in request else request.get("prompt")
        if not isinstance(prompt, str):
            raise InvalidRequest("prompt must be a text", param="prompt")
        ids = [token_id(token) for token in tokenise(prompt)]
        return {"count": len(ids), "max_model_len": self.context_tokens, "tokens": ids, "token_strs": None}

    async def _inference(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._authenticate(scope)
        self.counts["requests"] += 1
        self.counts["active"] += 1
        try:
            body = await serving.read_body(receive, BODY_LIMIT_BYTES)
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
            kept = body[:KEPT_BODY_BYTES].decode("utf-8", "replace")
            self.kept.append({"path": scope["path"], "headers": headers, "body": kept})
            await self._answer(ENDPOINTS[scope["path"]], serving.decode_object(body), scope, receive, send)
        except Gone:
            self.counts["aborted"] += 1
            raise
        except ScriptedFailure as error:
            self.counts["failed"] += 1
            shape = {"message": error.message, "type": error.type, "param": None, "code": error.sent_status}
            await serving.send_whole(
                send, error.sent_status, msgspec.json.encode({"error": shape}), headers=error.headers
            )
        except GatewayError:
            self.counts["failed"] += 1
            raise
        finally:
            self.counts["active"] -= 1

    async def _answer(self, endpoint: str, request: Json, scope: Scope, receive: Receive, send: Send) -> None:
        model = self._known(request.get("model"))
        for field, kind in (("tools", list), ("stream_options", dict), ("response_format", dict)):
            if request.get(field) is not None and not isinstance(request[field], kind):
                raise InvalidRequest(f"{field} must be a JSON {'array' if kind is list else 'object'}", param=field)
        if endpoint == "chat":
            prompt, last = chat_prompt(request, self.director.script.template_tokens)
            prompts = [prompt]
        else:
            prompts = texts(request.get("prompt" if endpoint == "completions" else "input"), "prompt or input")
            last = prompts[-1]
        rule = self.director.rule_for(endpoint, model, last)
        work = self._perform(endpoint, request, model, prompts, last, rule, scope, send)
        if rule.delay_ms or rule.hang or rule.tokens_per_s or request.get("stream"):
            await serving.unless_gone(receive, work)
        else:
            await work

    async def _perform(
        self,
        endpoint: str,
        request: Json,
        model: str,
        prompts: list[str],
        last: str,
        rule: Rule,
        scope: Scope,
        send: Send,
    ) -> None:
        if rule.hang:
            await asyncio.get_running_loop().create_future()
        if rule.delay_ms:
            await asyncio.sleep(rule.delay_ms / 1000)
        if rule.drop:
            scope["lockgate.transport"].abort()
            return
        if rule.status != 200:
            raise ScriptedFailure(rule)
        if rule.raw is not None:
            kind = "text/event-stream" if request.get("stream") else "application/json"
            await serving.send_whole(
                send, 200, rule.raw.encode("latin-1", "replace"), kind, tuple(rule.headers.items())
            )
            return

        tokens = [tokenise(prompt) for prompt in prompts]
        longest = max(len(prompt) for prompt in tokens)
        if longest > self.context_tokens:
            message = f"the maximum context length is {self.context_tokens} tokens, the request has {longest}"
            raise InvalidRequest(message, param="messages" if endpoint == "chat" else None)
        n = (whole_number(request, "n", 1, 1, 128) or 1) if endpoint != "embeddings" else 1
        answers = [
            decide(request, rule, last if endpoint == "chat" else prompt) for prompt in prompts for _ in range(n)
        ]
        head = self._head(endpoint, request, model)
        request_id = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        production = self.produced.begin(request_id, self.clock.monotonic_s())
        production.input_tokens = input_tokens = sum(len(prompt) for prompt in tokens)
        self.counts["input_tokens"] += input_tokens
        try:
            if endpoint == "embeddings":
                await self._whole(embeddings_whole(request, model, prompts, input_tokens), rule, send)
            else:
                production.wanted_tokens = sum(answer.count for answer in answers)
                cached = sum(self.cache.admit(prompt, str(request.get("cache_salt") or "")) for prompt in tokens)
                usage = _told(usage_of(input_tokens, cached, answers), rule)
                prefixes = [prompt if request.get("echo") else "" for prompt in prompts for _ in range(n)]
                if request.get("stream"):
                    inputs = [len(prompt) for prompt in tokens for _ in range(n)]
                    frames = _frames(endpoint, request, head, answers, prefixes, usage, rule, inputs)
                    await self._stream(frames, rule, production, scope, send)
                else:
                    await self._produce(production, rule)
                    await self._whole(_object(endpoint, head, answers, prefixes, usage), rule, send)
            production.ended = "answered" if rule.cut_after_frames is None else "cut"
        except (asyncio.CancelledError, Gone):
            production.ended = "left"
            raise
        except BaseException:
            production.ended = "failed"
            raise
        finally:
            production.ended_s = self.clock.monotonic_s()
            self.counts["output_tokens"] += production.output_tokens

    async def _produce(self, production: Production, rule: Rule) -> None:
        """An answer that is not streamed, at the rule's pace: all of it, or what was there when it was cancelled."""
        wanted = production.wanted_tokens
        if rule.tokens_per_s:
            start_s = self.clock.monotonic_s()
            try:
                await asyncio.sleep(wanted / rule.tokens_per_s)
            except asyncio.CancelledError:
                passed = int((self.clock.monotonic_s() - start_s) * rule.tokens_per_s)
                production.output_tokens = min(wanted, passed)
                raise
        production.output_tokens = wanted

    def _head(self, endpoint: str, request: Json, model: str) -> Head:
        top: int | None = None
        if endpoint == "completions":
            top = whole_number(request, "logprobs", None, 0, 20)
        elif request.get("logprobs"):
            top = whole_number(request, "top_logprobs", 0, 0, 20)
        name = "chatcmpl" if endpoint == "chat" else "cmpl"
        return Head(f"{name}-fake-{self.counts['requests']:08d}", self.clock.wall_ns() // 10**9, model, top)

    async def _whole(self, value: Json, rule: Rule, send: Send) -> None:
        body = msgspec.json.encode(value)
        if rule.cut_after_frames is None:
            await serving.send_whole(send, 200, body, headers=tuple(rule.headers.items()))
            return
        fields = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})

    async def _stream(
        self, frames: Iterator[Frame], rule: Rule, production: Production, scope: Scope, send: Send
    ) -> None:
        """Server-sent events; ends without `[DONE]` and closes the connection where the rule cuts."""
        fields = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        fields += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in rule.headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        delay_s = (rule.token_delay_ms or 0.0) / 1000
        transport = scope.get("lockgate.transport")
        pace = Pace(rule.tokens_per_s, self.clock.monotonic_s()) if rule.tokens_per_s else None
        for number, (frame, tokens) in enumerate(frames):
            if number == rule.cut_after_frames:
                await send({"type": "http.response.body", "body": b"", "more_body": True})  # the headers at least
                return
            if tokens and pace is not None:
                await asyncio.sleep(pace.wait_s(tokens, self.clock.monotonic_s()))
            else:
                await asyncio.sleep(delay_s if tokens else 0)
            await send(
                {
                    "type": "http.response.body",
                    "body": b"data: " + msgspec.json.encode(frame) + b"\n\n",
                    "more_body": True,
                }
            )
            if transport is not None and transport.is_closing():
                raise Gone  # the client hung up a moment ago: what was not sent any more is not produced either
            # No await since it was handed to the connection.
            production.made(tokens, self.clock.monotonic_s() if rule.tokens_per_s else None)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


def _allow(method: str, allowed: str) -> None:
    if method != allowed:
        raise MethodNotAllowed(f"only {allowed} is answered here", headers=(("allow", allowed),))


def _is_local(scope: Scope) -> bool:
    client = scope.get("client")
    return client is None or client[0] in ("", "::1") or client[0].startswith("127.")


def _detokenise(request: Json) -> Json:
    ids = request.get("tokens")
    if not isinstance(ids, list) or not all(isinstance(number, int) for number in ids):
        raise InvalidRequest("tokens must be a list of token ids", param="tokens")
    return {"prompt": text_of(ids)}


def _told(usage: Json, rule: Rule) -> Json | None:
    """A usage object as the rule wants it told, or None."""
    if isinstance(rule.usage, dict):
        return {**usage, **rule.usage}
    return usage if rule.usage else None


def _frames(
    endpoint: str,
    request: Json,
    head: Head,
    answers: list[Answer],
    prefixes: list[str],
    usage: Json | None,
    rule: Rule,
    inputs: list[int],
) -> Iterator[Frame]:
    """The frames of a stream with the usage that the request asks for and the rule allows; `inputs` by choice."""
    asked = request.get("stream_options") or {}
    told = usage if asked.get("include_usage") else None
    size = rule.tokens_per_frame
    if endpoint == "chat":
        frames = chat_frames(head, answers, told, size)
    else:
        frames = text_frames(head, answers, prefixes, told, size)
    if told is None or not asked.get("continuous_usage_stats"):
        return frames
    running = with_running_usage(frames, inputs)
    if not isinstance(rule.usage, dict):
        return running
    return (({**frame, "usage": {**frame["usage"], **rule.usage}}, tokens) for frame, tokens in running)


def _object(endpoint: str, head: Head, answers: list[Answer], prefixes: list[str], usage: Json | None) -> Json:
    return chat_whole(head, answers, usage) if endpoint == "chat" else text_whole(head, answers, prefixes, usage)
