"""Heads of the change log noted beside the store (`STATE/changes.heads`): a log whose end was cut off still fits its
own hashes, but not a head that was noted before.

One line for each: `SEQ:HASH`. Lines are only added. Who can write the store and this file can forge both;
keep a copy of its last line elsewhere, and give it to `lockgate changes verify --head`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Final

from gateway.policy.changes import START, Head, head_of
from gateway.store.control.base import ControlStoreDown

FILE: Final = "changes.heads"
FILE_OF_POSTGRESQL: Final = "changes-postgresql.heads"
"""Another store, another chain: who moves from one to the other begins a new one."""
EVERY: Final = 100
"""So many changes later the next one is noted; at close and after a verification the last one."""


class Heads:
    """The heads that were noted in one file. Any thread may use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._noted = self._written = START
        self._turn = threading.Lock()

    def read(self) -> list[Head]:
        """All of them. A line that is none (the machine stopped while it was written) is passed over. Raises
        ControlStoreDown when there is a file that cannot be read."""
        try:
            lines = self.path.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ControlStoreDown(f"{self.path} cannot be read: {error.strerror}") from error
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                found.append(head_of(line))
        return found

    def wrote(self, head: Head) -> None:
        """This process made that change, which is on the disk: noted, if it is time."""
        self._written = head
        if head.seq - self._noted.seq >= EVERY:
            self.note(head)

    def note(self, head: Head) -> None:
        """Adds the head, unless it is the last one noted here. A file that cannot be written costs nothing but its use:
        changes go on."""
        with self._turn, contextlib.suppress(OSError):
            if head not in (START, self._noted):
                self._append(f"{head}\n".encode())
                self._noted = head

    def finish(self) -> None:
        """Notes the last change that this process made."""
        self.note(self._written)

    def _append(self, line: bytes) -> None:
        number = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(number).st_size
            if size and os.pread(number, 1, size - 1) != b"\n":  # the machine stopped while the last one was written
                line = b"\n" + line
            os.write(number, line)
            os.fdatasync(number)
        finally:
            os.close(number)
