"""Real Redis and PostgreSQL servers for a test, each a process of its own that can be frozen, killed and come back."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from tests.support.gateway_process import descendants, lives
from tests.support.ports import free_port

START_S = 30.0
POSTGRES_USER = "lockgate"


class StoreServer(ABC):
    """A server on a free port of 127.0.0.1. Its data outlive its process: `start` again after `kill`."""

    identity: ClassVar[dict[str, Any]]
    """The user it runs as, where that is not us."""

    def __init__(self) -> None:
        self.port = free_port()
        # Not a test's own folder: that is closed to the user that PostgreSQL runs as.
        self.folder = Path(tempfile.mkdtemp(prefix="lockgate-store-"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """For `stores.meters`."""

    @abstractmethod
    def command(self) -> list[str]:
        """What runs the server."""

    @abstractmethod
    def answers(self) -> bool:
        """Does it serve?"""

    def start(self) -> None:
        """Returns when it serves; AssertionError with its log when it does not."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **self.identity,
            )
        end = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"it does not serve: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)  # between two looks

    def pids(self) -> list[int]:
        """Its processes."""
        assert self.process is not None
        return [self.process.pid, *descendants(self.process.pid)]

    def freeze(self) -> None:
        """It answers nothing, and keeps its connections."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it as a crash would."""
        pids = self.pids()
        self._signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()
        while any(lives(pid) for pid in pids):
            time.sleep(0.01)

    def close(self) -> None:
        """Ends it and drops its data."""
        if self.process is not None and self.process.poll() is None:
            self.thaw()
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class RedisServer(StoreServer):
    """Redis as the meters want it: every write is in the file before it is answered, and nothing is evicted."""

    identity: ClassVar = {}

    def __init__(self, *settings: str) -> None:
        """`settings`: further options, such as "--maxmemory-policy", "allkeys-lru"; the last one counts."""
        super().__init__()
        self.settings = settings

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return [
            *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"),
            *("--aof-timestamp-enabled", "yes", "--auto-aof-rewrite-percentage", "0", *self.settings),
        ]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class PostgresServer(StoreServer):
    """PostgreSQL with one database, durable as it is delivered."""

    identity: ClassVar = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}  # it refuses root

    def __init__(self) -> None:
        super().__init__()
        self.programs = _postgres_programs()
        self.data = self.folder / "data"
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        subprocess.run(
            [self.programs / "initdb", "-D", self.data, "-U", POSTGRES_USER, "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            **self.identity,
        )

    @property
    def url(self) -> str:
        return f"postgresql://{POSTGRES_USER}@127.0.0.1:{self.port}/postgres"

    def command(self) -> list[str]:
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "50"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]

    def answers(self) -> bool:
        done = subprocess.run(
            [self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
        )
        return done.returncode == 0

    def query(self, text: str) -> str:
        """Runs SQL; what psql prints: rows as lines, columns apart by tabs."""
        done = subprocess.run(
            [self.programs / "psql", "-qtAX", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", text],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout


def missing(scheme: str) -> str:
    """Why there can be no such server here; empty where there can."""
    if scheme == "redis":
        return "" if shutil.which("redis-server") else "redis-server is not installed (make system-deps)"
    if not _postgres_programs().is_dir():
        return "PostgreSQL is not installed (make system-deps)"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


@contextlib.contextmanager
def running(server: StoreServer) -> Iterator[StoreServer]:
    """Starts a server for the length of a block."""
    try:
        server.start()
        yield server
    finally:
        server.close()


def _postgres_programs() -> Path:
    """Debian keeps them apart by version, outside of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    here = shutil.which("postgres")
    return Path(here).parent if here else Path("/nonexistent")
