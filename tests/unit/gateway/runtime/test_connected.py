"""gateway.runtime.connected; what is started with it: tests/integration/test_serve_crash.py"""

from __future__ import annotations

import asyncio
import os
from typing import cast

import msgspec
import pytest

from gateway.runtime import connected
from gateway.runtime.control_channel import Channel, Kept
from gateway.runtime.processes import Processes


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
