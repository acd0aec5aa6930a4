"""Recalls between the processes of one machine: a datagram socket for each owner, all in one folder.

Nothing waits for a datagram to be read, and one that finds its reader's queue full is dropped: its reader has others
to read, and a recall only ever makes things faster.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.store.meters import Recalled

MOST_BYTES: Final = 64 * 2**10
"""Of keys in one datagram."""
PREFIX: Final = "meters-"
SUFFIX: Final = ".sock"


class RecallSockets:
    """One owner's socket, and its way to the others'."""

    def __init__(self, folder: Path, owner: str) -> None:
        """`folder` must exist, and be closed to other users."""
        self._folder = folder
        self._name = f"{PREFIX}{owner.rpartition(':')[2]}{SUFFIX}"
        self._decode = msgspec.msgpack.Decoder(list[str]).decode
        self._socket: socket.socket | None = None
        # The kernel takes 107 bytes for a socket's path; through the folder's descriptor any folder is near.
        self._folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def listen(self, callback: Recalled) -> None:
        """Calls back, on the running loop, with the keys that others recall."""
        here = self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        path = self._folder / self._name
        path.unlink(missing_ok=True)
        here.bind(self._near(self._name))
        path.chmod(0o600)
        asyncio.get_running_loop().add_reader(here, self._read, here, callback)

    def send(self, keys: Sequence[str]) -> None:
        """To every other owner."""
        datagrams = [msgspec.msgpack.encode(part) for part in parts(keys)]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            for name in os.listdir(self._folder_fd):
                if name != self._name and name.startswith(PREFIX) and name.endswith(SUFFIX):
                    self._send(sender, name, datagrams)

    def close(self) -> None:
        """Takes the socket away."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            (self._folder / self._name).unlink(missing_ok=True)
        if self._folder_fd >= 0:
            os.close(self._folder_fd)
            self._folder_fd = -1

    def _near(self, name: str) -> str:
        return f"/proc/self/fd/{self._folder_fd}/{name}"

    def _send(self, sender: socket.socket, name: str, datagrams: Sequence[bytes]) -> None:
        try:
            for datagram in datagrams:
                sender.sendto(datagram, self._near(name))
        except ConnectionRefusedError:  # its owner is gone; no other one will have that name
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._folder_fd)
        except OSError:  # its queue is full, or it went away this moment
            pass

    def _read(self, here: socket.socket, callback: Recalled) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data = here.recv(2 * MOST_BYTES)
                with contextlib.suppress(msgspec.DecodeError):
                    callback(self._decode(data))


def parts(keys: Sequence[str], most_bytes: int = MOST_BYTES) -> list[list[str]]:
    """The keys, in parts of at most so many bytes."""
    found: list[list[str]] = []
    room = 0
    for key in keys:
        size = len(key.encode()) + 5  # MessagePack's head of a text
        if size > room:
            found.append([])
            room = most_bytes
        found[-1].append(key)
        room -= size
    return found
