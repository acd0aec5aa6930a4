"""What a pooled connection may never do: carry a byte of one exchange into another, or end with another's end."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import CHAT, STREAM, config, post, serving
from tests.support.running import run, until
from tests.support.upstream import (
    ANSWER,
    DONE_FRAME,
    FRAMES,
    LAST_CHUNK,
    STREAM_HEAD,
    Script,
    Talk,
    Upstream,
    chunk,
    says,
    says_and_closes,
    stream,
    unary,
)

POISON = b'{"poison":true}'


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


async def names_itself(talk: Talk) -> None:
    """Answers with what the request said, so that a mixed-up answer shows."""
    said = json.loads(talk.seen.body)["messages"][0]["content"]
    await talk.send(unary(json.dumps({"said": said}).encode()))


def saying(text: str) -> dict[str, Any]:
    return {**CHAT, "messages": [{"role": "user", "content": text}]}


AFTERWARDS: dict[str, bytes] = {
    "another whole answer": unary(POISON),
    "the beginning of another": b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\nx-rest: ",
    "another answer's first byte": b"H",
    "what is no HTTP": b"garbage\r\n\r\n",
    "a bare interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "the last chunk of nothing": LAST_CHUNK,
}


@pytest.mark.parametrize("together", [True, False], ids=["with the answer", "after it"])
@pytest.mark.parametrize("name", AFTERWARDS)
@pytest.mark.parametrize("request_", [CHAT, STREAM], ids=["unary", "streamed"])
def test_a_connection_that_says_more_than_its_answer_is_not_used_again(
    tmp_path: Path, name: str, together: bool, request_: dict[str, Any]
) -> None:
    whole = unary() if request_ is CHAT else stream([*FRAMES, DONE_FRAME])

    async def says_more(talk: Talk) -> None:
        if together:
            await talk.send(whole + AFTERWARDS[name])
        else:
            await talk.send(whole)
            await said.wait()
            await talk.send(AFTERWARDS[name])
        await talk.caller_left()

    said = asyncio.Event()

    async def main() -> None:
        async with (
            Upstream([says_more, names_itself]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            answer = await gateway.raw(post(request_))
            assert answer.startswith(b"HTTP/1.1 200")
            assert ANSWER in answer or DONE_FRAME in answer  # it was whole: what followed is not the caller's trouble
            said.set()
            if not together:  # sooner than an idle connection is closed anyway
                await until(upstream.aborted.is_set, "the connection is given up", limit_s=2.0)
            texts = [f"number {number}" for number in range(3)]
            answers = await asyncio.gather(*(gateway.raw(post(saying(text))) for text in texts))
            assert [json.loads(body(answer))["said"] for answer in answers] == texts
            assert 1 not in [seen.connection for seen in upstream.seen[1:]]
            assert {(r.outcome, r.code) for r in gateway.records()} == {("answered", "ok")}

    run(main())


ONCE: dict[str, Script] = {
    "connection: close": says(unary(headers=b"connection: close\r\n")),
    "HTTP/1.0": says(unary().replace(b"HTTP/1.1", b"HTTP/1.0")),
    "no length": says_and_closes(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + ANSWER),
    "a stream that closes": says(
        STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") + chunk(DONE_FRAME) + LAST_CHUNK
    ),
}


@pytest.mark.parametrize("name", ONCE)
def test_a_connection_that_says_it_closes_is_not_used_again(tmp_path: Path, name: str) -> None:
    request_ = STREAM if "stream" in name else CHAT

    async def main() -> None:
        async with (
            Upstream([ONCE[name], says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            assert (await gateway.raw(post(request_))).startswith(b"HTTP/1.1 200")
            assert body(await gateway.raw(post(CHAT))) == ANSWER
            assert [seen.connection for seen in upstream.seen] == [1, 2]

    run(main())


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("headers", [b"", b"content-length: 0\r\n"])
def test_an_answer_that_has_no_body_by_its_status_leaves_the_connection_in_order(
    tmp_path: Path, status: str, headers: bytes
) -> None:
    empty = b"HTTP/1.1 %b\r\n%b\r\n" % (status.encode(), headers)

    async def main() -> None:
        async with (
            Upstream([says(empty), names_itself]) as upstream,
            serving(config({"b": [upstream.url]}, retries={"attempts": 1, "share": 0.0}), tmp_path) as gateway,
        ):
            answer = await gateway.raw(post(CHAT))
            assert answer.startswith(b"HTTP/1.1 502")
            assert json.loads(body(answer))["error"]["code"] == "upstream_protocol"
            for text in ("one", "two"):
                assert json.loads(body(await gateway.raw(post(saying(text)))))["said"] == text
            assert [seen.connection for seen in upstream.seen] == [1, 1, 1]

    run(main())


def test_a_connection_is_reused_for_answers_of_every_good_kind(tmp_path: Path) -> None:
    kinds = [says(unary()), says(stream([*FRAMES, DONE_FRAME])), says(unary(b"{}", status="400 Bad Request"))]

    async def main() -> None:
        async with (
            Upstream([*kinds, *kinds]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            for request_ in (CHAT, STREAM, CHAT) * 2:
                assert (await gateway.raw(post(request_))).startswith(b"HTTP/1.1 ")
            assert {seen.connection for seen in upstream.seen} == {1}

    run(main())


# -- a connection given back belongs to who takes it next


def _fd(writer: asyncio.StreamWriter) -> int:
    number: int = writer.get_extra_info("socket").fileno()
    return number


async def _in_one_turn_of_the_loop(
    tmp_path: Path, request_: dict[str, Any], begins: bytes, ends: bytes, *, end_first: bool
) -> None:
    """The end of one answer arrives in the same turn of the loop as another caller's request, which may so be given the
    connection while the first handler is not yet over.
    """
    upstreams: list[Talk] = []

    async def begins_and_waits(talk: Talk) -> None:
        await talk.send(begins)
        upstreams.append(talk)
        await ended.wait()

    ended = asyncio.Event()
    async with (
        Upstream([begins_and_waits, names_itself]) as upstream,
        serving(config({"b": [upstream.url]}, retries={"attempts": 1, "share": 0.0}), tmp_path) as gateway,
    ):
        second_reader, second = await asyncio.open_connection("127.0.0.1", gateway.port)
        second.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        await second_reader.readuntil(b"ok\n")
        first_reader, first = await asyncio.open_connection("127.0.0.1", gateway.port)
        first.write(post(request_))
        await until(lambda: upstreams, "the upstream has the first request")
        if begins:
            await until(lambda: gateway.gw.in_flight == 1, "the answer begins")
            await asyncio.sleep(0.05)
        wires = [(_fd(second), post(saying("mine"))), (_fd(upstreams[0].writer), ends)]
        for fd, data in reversed(wires) if end_first else wires:
            os.write(fd, data)  # not by the writers, which would wait for the loop's next turn
        ended.set()
        await first_reader.read()
        second_answer = await second_reader.read()
        assert json.loads(body(second_answer))["said"] == "mine"
        if end_first:
            assert [seen.connection for seen in upstream.seen] == [1, 1], "not the case this test is about"
        first.close()
        second.close()


@pytest.mark.parametrize("end_first", [True, False])
@pytest.mark.parametrize(
    ("request_", "begins", "ends"),
    [
        (STREAM, STREAM_HEAD + chunk(FRAMES[0]), chunk(DONE_FRAME) + LAST_CHUNK),
        (CHAT, b"", unary(b"no", status="500 Internal Server Error")),
        (CHAT, b"", unary()),
    ],
    ids=["a stream", "a failure", "an answer"],
)
def test_the_end_of_one_answer_never_cancels_the_request_that_took_over_its_connection(
    tmp_path: Path, request_: dict[str, Any], begins: bytes, ends: bytes, end_first: bool
) -> None:
    run(_in_one_turn_of_the_loop(tmp_path, request_, begins, ends, end_first=end_first))
