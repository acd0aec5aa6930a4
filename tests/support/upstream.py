"""An upstream that does exactly what a test says, byte for byte, on a real socket: the faults no well-behaved server
would show.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

ANSWER = (
    b'{"id":"c1","object":"chat.completion","model":"served","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}'
)
FRAMES = [
    b'data: {"id":"c1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n',
    b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"hel"}}]}\n\n',
    b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"lo"}}]}\n\n',
    b'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
]
USAGE_FRAME = b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n'
DONE_FRAME = b"data: [DONE]\n\n"


def unary(body: bytes = ANSWER, status: str = "200 OK", headers: bytes = b"") -> bytes:
    """A whole answer."""
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b" % (
        status.encode(),
        headers,
        len(body),
        body,
    )


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked transfer coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def stream(frames: list[bytes]) -> bytes:
    """A whole streamed answer, a chunk per frame."""
    return STREAM_HEAD + b"".join(map(chunk, frames)) + LAST_CHUNK


@dataclass
class Seen:
    """One request as the upstream got it."""

    head: bytes
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        """The value of a header, None when it was not sent."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.encode():
                return value.strip().decode()
        return None


Script = Callable[["Talk"], Awaitable[None]]


@dataclass
class Talk:
    """One request and the wires to answer it with."""

    seen: Seen
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    upstream: Upstream

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Closes with a reset, as a killed server does."""
        self.writer.transport.abort()

    async def caller_left(self) -> None:
        """Returns when the gateway closes the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass
        self.upstream.aborted.set()


@dataclass
class Upstream:
    """A scripted server: request number i of all gets `scripts[i]`, later ones the last. `seen` lists what came."""

    scripts: list[Script]
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    aborted: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    probes: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Upstream:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self._writers.add(writer)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                body = await reader.readexactly(length) if length else b""
                if head.startswith(b"GET /health"):
                    self.probes += 1
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    continue
                self.seen.append(Seen(head, body, number))
                self.arrived.set()
                script = self.scripts[min(len(self.seen), len(self.scripts)) - 1]
                await script(Talk(self.seen[-1], reader, writer, self))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


def says(data: bytes) -> Script:
    """Answers with these bytes and keeps the connection."""

    async def script(talk: Talk) -> None:
        await talk.send(data)

    return script


def says_and_closes(data: bytes) -> Script:
    """Answers with these bytes and closes."""

    async def script(talk: Talk) -> None:
        await talk.send(data)
        talk.close()

    return script


def hangs(data: bytes = b"") -> Script:
    """Sends these bytes and then nothing, until the gateway leaves."""

    async def script(talk: Talk) -> None:
        await talk.send(data)
        await talk.caller_left()

    return script
