"""The state directory: who holds it, and where things are in it.

STATE/lock                   held by flock while a gateway or one of its workers runs
STATE/snapshots/             archived configurations (gateway.config.archive)
STATE/journal/               the workers' journals (gateway.store)
STATE/ledger/                what was used, for good (gateway.store.ledger)
STATE/content/               what was said, encrypted, where a policy keeps it (gateway.store.content)
STATE/content-keys           its keys, themselves encrypted
STATE/traces/incoming/       agents' spans that are not stored yet, encrypted (gateway.store.span_spool)
STATE/meters.sqlite          the meters, where no other store is configured
STATE/control.sqlite         what was made by API and who changed it, where no other store is configured
STATE/changes.heads          heads of that log of changes, noted as it grew (changes-postgresql.heads: of PostgreSQL's)
STATE/control-mirror.msgpack what was made by API as it was last in force, for a start without the store
STATE/exporter.json          how far the journals were sent as spans, where they are
STATE/secret                 what the tenants' cache salts are made with
STATE/state-id               what this directory is called among those that share a store of meters
STATE/run/gateway.json       addresses of the running gateway, for commands and tests
STATE/run/NAME-VERSION.sock  a child's listening socket
STATE/run/checks-process.sock the check process's listening socket
STATE/run/NAME.log           what that child printed (.1: before that)
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.runtime.failures import StartFailed

LONGEST_SOCKET_PATH = 100
"""Bytes in the path of a unix socket: the kernel takes 107, a little is left for the longest suffix."""


class Addresses(msgspec.Struct, frozen=True):
    """What `STATE/run/gateway.json` says: the supervisor's process id and the URLs it serves."""

    pid: int
    data: str
    ops: str
    grpc: str | None = None
    """`host:port`, where it is offered."""
    meters: str = "sqlite"
    """`stores.meters`, as it is written."""
    config: str = ""
    """The configuration's folder."""
    control: str | None = None
    """The URL of the control listener, where there is one."""
    control_store: str = "sqlite"
    """`stores.control`, as it is written."""


class StateDir:
    """A state directory this process holds. `lock_fd` may be handed to workers: the lock lasts until the last holder
    ends."""

    def __init__(self, path: Path, lock_fd: int, made: Sequence[Path] = ()) -> None:
        self.path = path
        self.lock_fd = lock_fd
        self._made = made
        self.run = path / "run"
        self._addresses = self.run / "gateway.json"

    @classmethod
    def take(cls, path: Path) -> StateDir:
        """Creates `path` (mode 0700) when absent and locks it; raises `StartFailed` when it is taken or cannot be
        written.

        Workers share the lock, so after a supervisor was killed the directory stays taken until its workers have
        drained: their journals are not recovered while they still write.
        """
        path = path.absolute()
        try:
            made = [folder for folder in (path, *path.parents) if not folder.exists()]
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            (path / "run").mkdir(mode=0o700, exist_ok=True)
            lock_fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartFailed(f"cannot use the state directory {path}: {error.strerror}") from error
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock_fd, 20).decode("ascii", "replace").strip()
            os.close(lock_fd)
            raise StartFailed(
                f"the state directory {path} is in use by another gateway (process {holder or 'unknown'} or its "
                "workers); stop it, or give this one its own with --state-dir"
            ) from None
        state = cls(path, lock_fd, made)
        try:
            os.ftruncate(lock_fd, 0)
            os.write(lock_fd, f"{os.getpid()}\n".encode("ascii"))
            state._forget_addresses()  # of a gateway that was killed
            if not (path / "secret").exists():
                write_whole(path / "secret", secrets.token_bytes(32))
            if not (path / "state-id").exists():
                write_whole(path / "state-id", secrets.token_hex(8).encode("ascii"))
        except OSError as error:
            os.close(lock_fd)
            raise StartFailed(f"cannot write the state directory {path}: {error.strerror}") from error
        return state

    def publish(self, addresses: Addresses) -> None:
        """Writes `run/gateway.json`."""
        write_whole(self._addresses, msgspec.json.encode(addresses) + b"\n")

    def release(self) -> None:
        """Forgets the published addresses and gives up the lock."""
        self._forget_addresses()
        os.close(self.lock_fd)

    def undo(self) -> None:
        """Removes the directory again if it was `take` that made it: nothing has run in it."""
        if self.path in self._made:
            shutil.rmtree(self.path, ignore_errors=True)
            with contextlib.suppress(OSError):  # somebody else's things are in it by now
                for folder in self._made[1:]:
                    folder.rmdir()

    def _forget_addresses(self) -> None:
        self._addresses.unlink(missing_ok=True)


def published(path: Path) -> Addresses | None:
    """The addresses of the gateway that runs on state directory `path`, None when none is published."""
    try:
        return msgspec.json.decode((path / "run" / "gateway.json").read_bytes(), type=Addresses)
    except FileNotFoundError:
        return None


def secret(path: Path) -> bytes:
    """32 random bytes that belong to the state directory: the same for every worker, and after a restart."""
    return (path / "secret").read_bytes()


def state_id(path: Path) -> str:
    """The random name of the state directory: the first part of its workers' names as owners of leases. Raises
    OSError."""
    return (path / "state-id").read_text("ascii")


def owner(path: Path, journal: str) -> str:
    """What the worker that writes this journal is called where it takes leases. Raises OSError."""
    return f"{state_id(path)}:{journal}"


def socket_path(state_dir: Path, name: str, version: str) -> Path:
    """Where the child `name` of configuration `version` listens: `STATE/run/NAME-VERSION.sock`; supervisor and workers
    agree on it.

    The kernel takes only 107 bytes for such a path. Under a deep state directory the socket lies in a folder of the
    system's temporary one instead, named by the user, under the path's digest.
    """
    path = state_dir.absolute() / "run" / f"{name}-{version}.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"lockgate-{os.getuid()}" / f"{digest}.sock"


def checks_socket(state_dir: Path) -> Path:
    """Where the check process listens. No backend's child can: the version of a backend is eight digits."""
    return socket_path(state_dir, "checks", "process")


def make_socket_folder(path: Path) -> None:
    """Makes the folder of a child's socket, readable by us alone; raises `StartFailed` when somebody else owns it."""
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise StartFailed(f"the folder {folder} must belong to this user and be writable by no other")


def write_whole(path: Path, content: bytes) -> None:
    """A reader sees the old content or the new, never a part. Mode 0600."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
    draft.replace(path)
