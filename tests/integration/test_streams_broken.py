"""Streams that break after their first byte: the caller is told in band, and nothing is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gateway import STREAM
from tests.support.talking import body, error_frame, status, talk
from tests.support.upstream import (
    DONE_FRAME,
    FRAMES,
    LAST_CHUNK,
    STREAM_HEAD,
    Script,
    Talk,
    chunk,
    hangs,
    says,
    says_and_closes,
    stream,
)

BREAKS: dict[str, Callable[[bytes], Script]] = {
    "closes": says_and_closes,
    "sends a bad chunk": lambda data: says(data + b"zz\r\n"),
    "stalls": hangs,
}


@pytest.mark.parametrize("half", [b"", b'data: {"choices":[{"delta":{"content":"ha'])
@pytest.mark.parametrize("name", BREAKS)
def test_a_stream_that_breaks_ends_with_an_error_frame_after_the_last_whole_one(
    tmp_path: Path, name: str, half: bytes
) -> None:
    sent = STREAM_HEAD + b"".join(map(chunk, FRAMES[:2])) + (chunk(half) if half else b"")
    answer, records, upstream = talk(tmp_path, [BREAKS[name](sent)], STREAM)
    frames = body(answer)
    assert status(answer) == 200
    assert frames.startswith(b"".join(FRAMES[:2]) + b'data: {"error":')
    assert frames.endswith(b"}\n\n")
    assert answer.endswith(LAST_CHUNK)
    assert half not in frames or not half
    assert len(upstream.seen) == 1
    assert records[0].outcome == "failed"
    assert records[0].code in ("stream_broken", "upstream_timeout")


def test_a_huge_frame_and_bytes_that_are_no_utf_8_pass_as_they_came(tmp_path: Path) -> None:
    frames = [b"data: " + b"x" * 3_000_000 + b"\n\n", b"data: \xff\xfe\x80\n\n", DONE_FRAME]
    answer, records, _ = talk(tmp_path, [says(stream(frames))], STREAM)
    assert body(answer) == b"".join(frames)
    assert records[0].outcome == "answered"


def test_a_stream_longer_than_the_total_limit_ends_in_band(tmp_path: Path) -> None:
    async def drips(wire: Talk) -> None:
        await wire.send(STREAM_HEAD)
        while not wire.writer.is_closing():
            await wire.send(chunk(FRAMES[1]))
            await asyncio.sleep(0.01)

    answer, records, _ = talk(tmp_path, [drips], STREAM, limits={"total_s": 0.3})
    assert error_frame(answer)["code"] == "upstream_timeout"
    assert records[0].code == "upstream_timeout"
