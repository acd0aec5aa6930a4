"""gateway.runtime.connected; what is started with it: tests/integration/test_serve_crash.py"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any, cast

import msgspec
import pytest

from gateway.clock import SystemClock
from gateway.runtime import connected
from gateway.runtime.control_channel import Channel, Kept
from gateway.runtime.processes import Processes
from gateway.telemetry.logs import Log
from tests.support.running import run, until


class Start(msgspec.Struct):
    control_fd: int


class NoMemory:
    """Processes where none can be started."""

    def start(self, arguments: list[str], **_: object) -> None:
        raise BlockingIOError(arguments)


def test_a_start_that_fails_leaves_no_end_of_the_channel_open() -> None:
    async def scene() -> None:
        channel = Channel(Kept, lambda message: None, lambda: None)
        before = os.listdir("/proc/self/fd")
        with pytest.raises(BlockingIOError):
            connected.start(cast(Processes, NoMemory()), "nothing", Start, channel, on_end=lambda code: None)
        assert os.listdir("/proc/self/fd") == before

    asyncio.run(scene())


def test_a_lasting_process_that_cannot_be_started_is_tried_again_until_it_is_left() -> None:
    async def scene() -> None:
        lines: list[dict[str, Any]] = []
        log = Log(SystemClock(), write=lambda line: lines.append(json.loads(line)))
        lasting = connected.Lasting(
            cast(Processes, NoMemory()), log, "tried", "nothing", Start, Kept, lambda message: None
        )
        lasting.start()
        await until(lambda: len(lines) == 2, "it is tried again")
        assert {line["event"] for line in lines} == {"tried_start_failed"}
        assert lasting.leave() is None
        lasting.start()
        assert len(lines) == 2

    run(scene())
