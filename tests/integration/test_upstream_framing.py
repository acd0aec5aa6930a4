"""What a backend may send and how it may be cut: the caller gets the same, and one record says so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.store.records import Record
from tests.support.gateway import CHAT, STREAM, config, post, serving
from tests.support.running import run
from tests.support.talking import body, status, talk
from tests.support.upstream import (
    ANSWER,
    DONE_FRAME,
    FRAMES,
    USAGE_FRAME,
    Script,
    Talk,
    Upstream,
    chunk,
    says,
    says_and_closes,
    stream,
    unary,
)

FRAMINGS: dict[str, Script] = {
    "a length": says(unary()),
    "chunks": says(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"".join(chunk(ANSWER[i : i + 7]) for i in range(0, len(ANSWER), 7))
        + b"0\r\nx-trailer: ignored\r\n\r\n"
    ),
    "no length": says_and_closes(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + ANSWER),
    "HTTP/1.0": says_and_closes(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + ANSWER),
    "interim answers first": says(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\ncontent-length: 3\r\n\r\n" + unary()
    ),
    "connection: close": says_and_closes(unary(headers=b"connection: close\r\n")),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_an_answer_arrives_whole_however_it_was_framed(tmp_path: Path, name: str) -> None:
    answer, records, _ = talk(tmp_path, [FRAMINGS[name]])
    assert (status(answer), body(answer)) == (200, ANSWER)
    assert [(r.outcome, r.code, r.input_tokens, r.output_tokens) for r in records] == [("answered", "ok", 5, 1)]


def test_every_cut_of_an_answer_in_two_is_the_same_answer(tmp_path: Path) -> None:
    whole = unary()

    def cut(at: int) -> Script:
        async def script(wire: Talk) -> None:
            await wire.send(whole[:at])
            await asyncio.sleep(0)
            await wire.send(whole[at:])

        return script

    async def main() -> None:
        async with (
            Upstream([cut(at) for at in range(1, len(whole))]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            for _ in range(1, len(whole)):
                assert body(await gateway.raw(post(CHAT))) == ANSWER

    run(main())


@pytest.mark.parametrize("asks", [True, False])
def test_every_cut_of_a_stream_in_two_is_the_same_stream(tmp_path: Path, asks: bool) -> None:
    whole = stream([*FRAMES, USAGE_FRAME, DONE_FRAME])
    expected = b"".join([*FRAMES, *([USAGE_FRAME] if asks else []), DONE_FRAME])
    request = {**STREAM, "stream_options": {"include_usage": True}} if asks else STREAM

    def cut(at: int) -> Script:
        async def script(wire: Talk) -> None:
            await wire.send(whole[:at])
            await asyncio.sleep(0)
            await wire.send(whole[at:])

        return script

    async def main() -> list[Record]:
        async with (
            Upstream([cut(at) for at in range(1, len(whole))]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            for at in range(1, len(whole)):
                assert body(await gateway.raw(post(request))) == expected, at
            return gateway.records()

    records = run(main())
    assert {(r.outcome, r.input_tokens, r.output_tokens) for r in records} == {("answered", 5, 2)}
