"""Spans between the worker that took them and the keeper that stores them: a file for each request, as it was sent.

    STATE/traces/incoming/<slot>-<request id>.<key>.otlp      locked with that key (`span_seal`)
    STATE/traces/incoming/<slot>-<request id>.otlp            in the clear, where cryptography is not installed

A file is there whole or not at all: it is written under another name first. So a worker that is killed has taken a
request or not, and a keeper that is killed has stored its spans (`Manifest.spans_taken` names the file then) or not.
"""

from __future__ import annotations

import contextlib
from collections import deque
from pathlib import Path
from typing import Final

import msgspec

from gateway.errors import StoreUnavailable
from gateway.store import span_seal
from gateway.store.span_seal import Seal
from gateway.telemetry.agent_spans import Sender
from gateway.wire.otlp.request import Form

MOST_BYTES: Final = 256 * 2**20
"""Of one worker, not stored yet."""
MOST_OF_TENANT: Final = MOST_BYTES // 4
MOST_FILES: Final = 20_000
_SUFFIX: Final = ".otlp"


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What stands before the body."""

    sender: Sender
    form: Form


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Head).decode


def folder(state_dir: Path) -> Path:
    """Where they wait."""
    return state_dir / "traces" / "incoming"


class Spool:
    """A worker's side. Not for several threads at once."""

    def __init__(self, state_dir: Path, slot: int, *, most: int = MOST_BYTES, most_of_tenant: int = MOST_OF_TENANT):
        self._folder = folder(state_dir)
        self._slot = slot
        self._seal = Seal(self._folder)
        self._most = most
        self._most_of_tenant = most_of_tenant
        self._waiting: deque[tuple[Path, str, int]] | None = None
        self._bytes: dict[str, int] = {}

    def keep(self, sender: Sender, form: Form, body: bytes) -> None:
        """Keeps the body of a request. Raises StoreUnavailable, and then has kept nothing."""
        if self._waiting is None:
            self._waiting = self._begun()
        self._forget_stored(self._waiting)
        size = len(body)
        of_tenant = self._bytes.get(sender.tenant, 0)
        if (
            of_tenant + size > self._most_of_tenant
            or sum(self._bytes.values()) + size > self._most
            or len(self._waiting) >= MOST_FILES
        ):
            raise StoreUnavailable("too many spans wait to be stored: send them again", headers=(("retry-after", "5"),))
        name = f"{self._slot}-{sender.request}"
        draft = self._folder / f"{name}.new"
        head = _encode(Head(sender, form))
        try:
            key, data = self._seal.locked(b"".join((len(head).to_bytes(4, "little"), head, body)))
            path = self._folder / f"{name}{key and '.'}{key}{_SUFFIX}"
            span_seal.write_private(draft, data)
            draft.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise StoreUnavailable("spans cannot be kept at the moment", headers=(("retry-after", "5"),)) from error
        self._waiting.append((path, sender.tenant, size))
        self._bytes[sender.tenant] = of_tenant + size

    def _begun(self) -> deque[tuple[Path, str, int]]:
        """What workers of this slot left."""
        self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for draft in self._folder.glob(f"{self._slot}-*.new"):
            draft.unlink(missing_ok=True)
        found: deque[tuple[Path, str, int]] = deque()
        for path in sorted(self._folder.glob(f"{self._slot}-*{_SUFFIX}")):
            with contextlib.suppress(OSError, ValueError):
                head, body = read(path)
                found.append((path, head.sender.tenant, len(body)))
                self._bytes[head.sender.tenant] = self._bytes.get(head.sender.tenant, 0) + len(body)
        return found

    def _forget_stored(self, waiting: deque[tuple[Path, str, int]]) -> None:
        """They are stored in the order in which they came."""
        while waiting and not waiting[0][0].exists():
            _, tenant, size = waiting.popleft()
            self._bytes[tenant] -= size
            if not self._bytes[tenant]:
                del self._bytes[tenant]


def waiting(state_dir: Path) -> list[Path]:
    """The files there are, the oldest first."""
    return sorted(folder(state_dir).glob(f"*{_SUFFIX}"), key=lambda path: path.name.partition("-")[2])


def waiting_bytes(state_dir: Path) -> int:
    """How large they are together."""
    found = 0
    for path in folder(state_dir).glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            found += path.stat().st_size
    return found


def forget_keys(state_dir: Path) -> None:
    """Removes the keys of what was stored, some minutes later."""
    at = folder(state_dir)
    # In this order: a key is there before what it locks.
    span_seal.forget_keys(at, {_key_of(path) for path in at.glob(f"*{_SUFFIX}")})


def read(path: Path) -> tuple[Head, bytes]:
    """One of them. Raises OSError; ValueError for what is none of ours, or locked with a key that is gone."""
    data = path.read_bytes()
    try:
        raw = span_seal.opened(path.parent, _key_of(path), data)
        size = int.from_bytes(raw[:4], "little")
        return _decode(raw[4 : 4 + size]), raw[4 + size :]
    except (msgspec.MsgspecError, ValueError) as error:
        raise ValueError(f"{path} was not written by this version of Lockgate, or its key is gone") from error


def _key_of(path: Path) -> str:
    """The name of the key that locks it; empty where none does."""
    return path.name.removesuffix(_SUFFIX).partition(".")[2]
