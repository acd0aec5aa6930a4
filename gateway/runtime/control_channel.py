"""What the supervisor says with a worker, the keeper and the check process: JSON lines over a socket pair.

    worker → supervisor   Ready, Reloaded, ReloadFailed, Beat (each second), Crossed
    supervisor → worker   Reload, Drain
    keeper → supervisor   Kept (after each pass)
    supervisor → keeper   Reload, Look, Drain
    checks → supervisor   Loaded, Alive (each second)
    supervisor → checks   Load
    spans  → supervisor   Exported (while it sends)
    supervisor → spans    Reload, Drain

Either end closing tells the other that it is gone: a worker whose supervisor was killed drains by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec

from gateway.telemetry.gauges import KeeperGauges

BEAT_S = 1.0
"""How often a worker says how it is, and the check process that it is."""

LONGEST_LINE = 1 << 24


class Message(msgspec.Struct, frozen=True, tag_field="is", tag=str.lower):
    """Base of all messages; the class's name in lower case says which."""


class Ready(Message, frozen=True):
    """The worker accepts connections under the configuration `digest`."""

    digest: str


class Reloaded(Message, frozen=True):
    """The worker has swapped in `digest`; requests that began before keep theirs."""

    digest: str


class ReloadFailed(Message, frozen=True):
    """The worker cannot use `digest` and keeps what it has; `reason` is for the log and holds no secret."""

    digest: str
    reason: str


class Beat(Message, frozen=True):
    """How the worker is: its gauges by name, and how late its event loop ran at worst in the last `BEAT_S`, in
    milliseconds."""

    digest: str
    gauges: dict[str, float]
    loop_lag_ms: float


class Crossed(Message, frozen=True):
    """A share of a meter's cap is used that is to be warned of: `amount`, in the unit of the quantity."""

    bucket: str
    quantity: int
    permille: int
    amount: int
    cap: int
    """As stated."""


class Reload(Message, frozen=True):
    """Swap in the archived configuration `digest`."""

    digest: str


class Drain(Message, frozen=True):
    """Take nothing new, finish what runs, end."""


class Kept(Message, frozen=True):
    """A pass of the keeper is over: what it saw."""

    gauges: KeeperGauges


class Look(Message, frozen=True):
    """There is something to do now: a journal was recovered."""


class Load(Message, frozen=True):
    """Answer what these ask, kinds and names, for the chains of the archived configuration `digest`."""

    digest: str
    asks: tuple[tuple[str, str], ...]


class Loaded(Message, frozen=True):
    """The check process answers what was told with `digest`; what it cannot load it names."""

    digest: str
    missing: tuple[str, ...] = ()


class Alive(Message, frozen=True):
    """The check process answers: its loop runs, and nothing that it computes goes on for ever."""


class Exported(Message, frozen=True):
    """What the exporter did since it started: spans that were taken, and that were given up. `up`: it was heard, and
    what it sent last was taken."""

    sent: int
    lost: int
    up: bool


FromWorker = Ready | Reloaded | ReloadFailed | Beat | Crossed
FromSupervisor = Reload | Drain
ToKeeper = Reload | Look | Drain
ToExporter = Reload | Drain

_encoder = msgspec.json.Encoder()


class Channel(asyncio.Protocol):
    """One end. `on_message` gets each message, `on_close` is called once when the other end is gone or speaks
    nonsense."""

    def __init__(self, kind: Any, on_message: Callable[[Any], None], on_close: Callable[[], None]) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._on_message = on_message
        self._on_close = on_close
        self._transport: asyncio.WriteTransport | None = None
        self._pending = b""

    def send(self, message: Message) -> None:
        """Queues `message`; dropped when the other end is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_encoder.encode(message) + b"\n")

    def close(self) -> None:
        """Closes this end; `on_close` follows."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > LONGEST_LINE:
            self.close()
            return
        for line in lines:
            try:
                message = self._decoder.decode(line)
            except msgspec.DecodeError:
                # Both ends come from one installation; a foreign line means the other end is broken beyond talking to.
                self.close()
                return
            self._on_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_close()
