"""Any bytes, cut anywhere, from callers and from upstreams: always a well-formed answer or an orderly end."""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.clock import within
from tests.support.gateway import CHAT, KEY, STREAM, Running, config, post, serving
from tests.support.running import run, until
from tests.support.upstream import ANSWER, DONE_FRAME, FRAMES, USAGE_FRAME, Talk, Upstream, stream, unary

EXAMPLES = 15
SENDS = 12
"""Each example uses one gateway for this many connections: starting one costs more than asking it."""

LIMITS = {"body": 4096, "header": 2048, "request_s": 0.1, "keepalive_s": 0.1, "first_byte_s": 0.2, "idle_s": 0.2}


def with_gateway(scripts: list[Any], play: Callable[[Running, Upstream], Any]) -> None:
    """Runs `play` with a gateway in front of a scripted upstream; a handler's bug or a lost exception fails."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as state_dir:
            async with Upstream(scripts) as upstream:
                found = config({"b": [upstream.url]}, limits=LIMITS, retries={"attempts": 1, "share": 0.0})
                async with serving(found, Path(state_dir)) as gateway:
                    await play(gateway, upstream)

    run(main())


def read_strictly(data: bytes, methods: list[bytes]) -> list[tuple[int, bytes]]:
    """The answers (status, body) that a strict client sees until the connection closes; raises on anything malformed,
    cut short or left over.
    """
    client = h11.Connection(h11.CLIENT)
    answers: list[tuple[int, bytes]] = []
    client.receive_data(data)
    client.receive_data(b"")
    for method in methods:
        client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        client.send(h11.EndOfMessage())
        status, body = 0, b""
        while True:
            event = client.next_event()
            assert event is not h11.NEED_DATA
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                return answers
        answers.append((status, body))
        if client.their_state is not h11.DONE:
            break
        client.start_next_cycle()
    assert client.trailing_data[0] == b""
    return answers


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[begin:end] for begin, end in itertools.pairwise(at)]


async def ask(gateway: Running, parts: list[bytes]) -> bytes:
    """All that comes back until the gateway closes, which it must."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        for part in parts:
            if writer.is_closing():
                break
            writer.write(part)
            await asyncio.sleep(0)
        return await within(reader.read(), 8)
    except ConnectionError:  # closed over what we still sent
        return b""
    finally:
        writer.close()


async def as_asked(talk: Talk) -> None:
    await talk.send(WHOLE["stream" if json.loads(talk.seen.body).get("stream") else "unary"])


# -- callers

BODY = json.dumps(CHAT).encode()
CHUNKED = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5\r\n%b\r\n%x\r\n%b\r\n0\r\nx-trailer: y\r\n\r\n" % (KEY.encode(), BODY[:5], len(BODY) - 5, BODY[5:])
)
REQUESTS: list[tuple[bytes, int]] = [
    (post(CHAT, close=False), 200),
    (post(STREAM, close=False), 200),
    (CHUNKED, 200),
    (b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n\r\n" % KEY.encode(), 200),
    (b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", 200),
    (b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n", 404),
    (b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer lg-wrong\r\n\r\n", 401),
    (post(b"{", close=False), 400),
]
STREAMED = b"".join([*FRAMES, DONE_FRAME])  # whose usage was not asked for
LAST = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@settings(max_examples=EXAMPLES)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=6), st.lists(st.integers(0, 5000), max_size=12)
        ),
        min_size=1,
        max_size=SENDS,
    )
)
def test_pipelined_requests_cut_anywhere_have_the_answers_they_have_uncut(
    conversations: list[tuple[list[tuple[bytes, int]], list[int]]],
) -> None:
    async def play(gateway: Running, upstream: Upstream) -> None:
        for requests, places in conversations:
            data = b"".join(request for request, _ in requests) + LAST
            answers = read_strictly(await ask(gateway, cut(data, places)), [b"GET"] * (len(requests) + 1))
            assert [status for status, _ in answers] == [*(status for _, status in requests), 200]
            assert all(body == ANSWER for _, body in answers if body.startswith(b'{"id"'))
            assert all(body == STREAMED for _, body in answers if body.startswith(b"data:"))
        assert gateway.gw.in_flight == 0

    with_gateway([as_asked], play)


PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *(b"\r\n", b"\n", b"\r\n\r\n", b" ", b":", b"\0", b"GET ", b"POST ", b"/v1/models", b" HTTP/1.1\r\n"),
            *(
                b"host: x\r\n",
                b"content-length: ",
                b"5",
                b"-1",
                b"99999999999999999999",
                b"0\r\n\r\n",
                b"5\r\nhello\r\n",
            ),
            *(b"transfer-encoding: chunked\r\n", b"connection: close\r\n", b"connection: upgrade\r\nupgrade: h2c\r\n"),
            *(b"expect: 100-continue\r\n", b"HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n", b"x" * 3000, LAST, CHUNKED),
            *(request for request, _ in REQUESTS),
        ]
    ),
)


@settings(max_examples=EXAMPLES)
@given(st.lists(st.lists(PIECES, max_size=8), min_size=1, max_size=SENDS))
def test_whatever_bytes_a_caller_sends_it_gets_whole_answers_and_the_connection_ends(sent: list[list[bytes]]) -> None:
    async def play(gateway: Running, upstream: Upstream) -> None:
        for data in await asyncio.gather(*(ask(gateway, parts) for parts in sent)):
            assert data == b"" or data.startswith(b"HTTP/1.1 ")
            _, _, last = data.rpartition(b"HTTP/1.1 ")
            assert not last or b"\r\n\r\n" in last
        await until(lambda: gateway.gw.in_flight == 0, "every request ends")
        await until(lambda: not gateway.gw.connections, "every connection ends")
        assert (await gateway.raw(post(CHAT))).endswith(ANSWER)

    with_gateway([as_asked], play)


# -- upstreams

WHOLE = {
    "unary": unary(),
    "stream": stream([*FRAMES, USAGE_FRAME, DONE_FRAME]),
    "failure": unary(b"no", status="500 Internal Server Error"),
    "interim": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + unary(),
}


@settings(max_examples=EXAMPLES)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([CHAT, STREAM]),
            st.sampled_from(sorted(WHOLE)),
            st.integers(0, 1500),
            st.one_of(st.just(b""), PIECES),
            st.lists(st.integers(0, 2000), max_size=4),
            st.booleans(),
        ),
        min_size=1,
        max_size=SENDS,
    )
)
def test_whatever_an_upstream_sends_the_caller_gets_one_well_formed_answer_and_there_is_one_record(
    exchanges: list[tuple[dict[str, Any], str, int, bytes, list[int], bool]],
) -> None:
    def script(kind: str, keep: int, garbage: bytes, places: list[int], closes: bool) -> Any:
        data = WHOLE[kind]
        data = data[: keep % (len(data) + 1)] + garbage

        async def play(talk: Talk) -> None:
            for part in cut(data, places):
                await talk.send(part)
                await asyncio.sleep(0)
            if closes:
                talk.close()

        return play

    async def play(gateway: Running, upstream: Upstream) -> None:
        for number, (request_, *_) in enumerate(exchanges, 1):
            ((status, body),) = read_strictly(await gateway.raw(post(request_)), [b"POST"])
            assert status in (200, 400, 502, 503, 504)
            if status >= 500:
                assert json.loads(body)["error"]["type"] == "upstream_error"
            await until(lambda: gateway.gw.in_flight == 0, "the request ends")
            assert gateway.gw.backends["b"].endpoints[0].view.outstanding == 0
            assert len(gateway.records()) == number
        gateway.gw.backends["b"].close()
        await until(lambda: not upstream._writers, "every connection to the upstream is closed")

    with_gateway([script(how[1], how[2], how[3], how[4], how[5]) for how in exchanges], play)
