"""gateway.runtime.control_channel"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.runtime.control_channel import (
    LONGEST_LINE,
    Beat,
    Channel,
    Drain,
    FromSupervisor,
    FromWorker,
    Message,
    Ready,
    Reload,
    Reloaded,
    ReloadFailed,
)

MESSAGES = [
    Ready("d1"),
    Reloaded("d2"),
    ReloadFailed("d3", "backends.a: the environment variable X is not set"),
    Beat("d1", {"in_flight": 3}, 0.25),
]


class Wire(asyncio.WriteTransport):
    """Keeps what is written; closing tells the protocol at once."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self.channel = channel
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.channel.connection_lost(None)


def end(kind: Any) -> tuple[Channel, Wire, list[Message], list[str]]:
    """One end: the channel, its transport, the messages it got, and "closed" when it closed."""
    got: list[Message] = []
    closed: list[str] = []
    channel = Channel(kind, got.append, lambda: closed.append("closed"))
    wire = Wire(channel)
    channel.connection_made(wire)
    return channel, wire, got, closed


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_what_one_end_says_the_other_hears_however_it_is_cut(size: int) -> None:
    worker, wire, _, _ = end(FromSupervisor)
    for message in MESSAGES:
        worker.send(message)
    supervisor, _, heard, _ = end(FromWorker)
    for at in range(0, len(wire.written), size):
        supervisor.data_received(wire.written[at : at + size])
    assert heard == MESSAGES


def test_the_supervisor_is_heard_too() -> None:
    supervisor, wire, _, _ = end(FromWorker)
    supervisor.send(Reload("d"))
    supervisor.send(Drain())
    worker, _, heard, _ = end(FromSupervisor)
    worker.data_received(wire.written)
    assert heard == [Reload("d"), Drain()]


@pytest.mark.parametrize("nonsense", [b"{}\n", b'{"is":"drain"}\n', b"\xff\n", b"x" * (LONGEST_LINE + 1)])
def test_nonsense_ends_the_conversation_once(nonsense: bytes) -> None:
    supervisor, wire, heard, closed = end(FromWorker)
    supervisor.data_received(nonsense)
    assert (wire.closed, heard, closed) == (True, [], ["closed"])


def test_what_is_said_to_no_one_is_dropped() -> None:
    worker, wire, _, closed = end(FromSupervisor)
    worker.close()
    worker.send(Ready("d"))
    assert (wire.written, closed) == (b"", ["closed"])
