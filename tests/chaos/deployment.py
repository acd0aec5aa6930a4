"""The gateway under test with all that stands around it, as processes, and what can be done to each of them."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec

from gateway.backends.fake_produced import Production
from gateway.store.journal import SEGMENT_BYTES
from tests.chaos import keeping, plan
from tests.chaos.plan import Fault, Run
from tests.support import server_process
from tests.support.gateway_process import GatewayProcess, descendants, launch, lives, until, write
from tests.support.ports import free_port
from tests.support.store_servers import PostgresServer, RedisServer, StoreServer

START_S, STOP_S = 60.0, 120.0
"""Within which a gateway starts and ends, on a machine that does much else."""
DISK_BYTES = 400 * 2**20
CROWD_S = 120.0
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
METERS_FILE = "meters.sqlite"
"""The authority's file in a state directory."""


class Impossible(Exception):
    """This machine cannot do that; the message says why."""


def cannot(what: str) -> str:
    """Why a fault cannot be made here; empty where it can."""
    if what in ("jump clock", "lose lake") and faketime() is None:
        return "libfaketime is not installed (make system-deps)"
    if what.endswith("disk") and os.geteuid() != 0:
        return "only root can mount a small disk"
    return ""


def faketime() -> Path | None:
    """The library that moves a process's wall clock."""
    found = [FAKETIME, *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
    return next((path for path in found if path.exists()), None)


class Deployment:
    """Everything of one run. Make it with `deployed`."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run = run
        self.folder = folder
        self.state_dir = folder / "state"
        self.clock = folder / "clock"
        self.lake = folder / "lake"
        self.port = free_port()
        self.random = random.Random(run.seed)
        self.store: StoreServer | None = None
        self.upstream: server_process.ServerProcess | None = None
        self.gateway: GatewayProcess | None = None
        self.lock = threading.RLock()  # one at a time kills or starts processes of the gateway
        self.began_s = time.time()
        self.wall_ahead_s = self.began_s - time.monotonic()
        self.starts = 0
        self.done: dict[str, int] = {}  # fault → how often it met the keeper at its work
        self._outages: list[tuple[float, float]] = []  # of the whole gateway, in monotonic time
        self._load_began_s = 0.0

    # -- the time of the plan, which stands still while the whole gateway is away: how long that is, is the machine's

    def load_begins(self) -> None:
        """From now on."""
        self._load_began_s = time.monotonic()

    def until_s(self, planned_s: float) -> None:
        """Waits for that time of the plan."""
        while True:
            away = sum(end - began for began, end in self._outages)
            left = planned_s - (time.monotonic() - self._load_began_s - away)
            if left <= 0:
                return
            time.sleep(min(left, 0.05))  # the plan says when

    @contextlib.contextmanager
    def _outage(self) -> Iterator[None]:
        began = time.monotonic()
        index = len(self._outages)
        self._outages.append((began, float("inf")))
        try:
            yield
        finally:
            self._outages[index] = (began, time.monotonic())

    # -- up and down

    def start_gateway(self) -> None:
        """Returns when it is ready. It does not start while its authority is away: then again, as who watches over a
        server would."""
        environment = {}
        if self.run.fakes_time:
            library = faketime()
            assert library is not None
            environment = {
                "LD_PRELOAD": str(library),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_CACHE_DURATION": "1",
            }
        end = time.monotonic() + START_S
        while True:
            log = self.state_dir.with_name(self.state_dir.name + ".log")
            if log.exists():
                log.rename(log.with_name(f"state.{self.starts}.log"))
            self.starts += 1
            self.gateway = launch(self.folder / "config", self.state_dir, environment=environment)
            try:
                self.gateway.wait_ready()
                return
            except AssertionError:
                if time.monotonic() > end or "stores.meters" not in self.gateway.logged():
                    raise

    def stop_gateway(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.gateway is not None
        self.gateway.signal(signal.SIGTERM)
        code = self.gateway.wait(STOP_S)
        if self.gateway.process.stdout is not None:
            self.gateway.process.stdout.close()
        return code

    def produced(self) -> dict[str, list[Production]]:
        """The upstream's own count."""
        assert self.upstream is not None
        with self.upstream.client() as client:
            answer = client.get("/fake/produced")
        return msgspec.json.decode(answer.content, type=dict[str, list[Production]])

    def ask(self, tenant: str, key: int, text: str) -> httpx.Response:
        """One request for one token."""
        body = {"model": "chat", "messages": [{"role": "user", "content": text}], "max_tokens": 1}
        headers = {"authorization": f"Bearer {plan.secret(tenant, key)}"}
        return httpx.post(f"http://127.0.0.1:{self.port}/v1/chat/completions", json=body, headers=headers, timeout=30)

    # -- what goes wrong

    def do(self, fault: Fault) -> None:
        """Makes it go wrong, and right again where it lasts; returns then."""
        doing: dict[str, Callable[[Fault], None]] = {
            "kill worker": self._kill_worker,
            "kill gateway": self._kill_gateway,
            "restart gateway": self._restart_gateway,
            "freeze authority": self._freeze_authority,
            "kill authority": self._kill_authority,
            "jump clock": self._jump_clock,
            "fill disk": self._fill_disk,
            "crowd disk": self._crowd_disk,
            "kill keeper": self._kill_keeper,
            "lose lake": self._lose_lake,
        }
        with self.lock if fault.what.endswith(("worker", "gateway")) else contextlib.nullcontext():
            doing[fault.what](fault)

    def workers(self) -> list[int]:
        """Process ids of the workers that live."""
        assert self.gateway is not None
        return [pid for pid in self.gateway.worker_pids() if lives(pid)]

    def _kill_worker(self, fault: Fault) -> None:
        found = self.workers()
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.random.choice(found), signal.SIGKILL)

    def _kill_gateway(self, fault: Fault) -> None:
        assert self.gateway is not None
        pids = [self.gateway.pid, *descendants(self.gateway.pid)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with self._outage():
            self._come_back(fault, pids)

    def _come_back(self, fault: Fault, pids: list[int]) -> None:
        assert self.gateway is not None
        self.gateway.process.wait()
        until(lambda: not any(lives(pid) for pid in pids), "all processes of the gateway have ended")
        if self.gateway.process.stdout is not None:
            self.gateway.process.stdout.close()
        time.sleep(fault.for_s)  # the length of the outage
        self.start_gateway()

    def _restart_gateway(self, fault: Fault) -> None:
        with self._outage():
            self.stop_gateway()
            self.start_gateway()

    def _freeze_authority(self, fault: Fault) -> None:
        if self.store is None:
            with contextlib.closing(sqlite3.connect(self.state_dir / METERS_FILE, isolation_level=None)) as database:
                database.execute("PRAGMA busy_timeout = 5000")
                database.execute("BEGIN IMMEDIATE")
                time.sleep(fault.for_s)  # it is held meanwhile
                database.execute("ROLLBACK")
            return
        self.store.freeze()
        time.sleep(fault.for_s)
        self.store.thaw()

    def _kill_authority(self, fault: Fault) -> None:
        if self.store is None:  # SQLite lives in the workers: all of them at once
            for pid in self.workers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return
        self.store.kill()
        time.sleep(fault.for_s)
        self.store.start()

    def _kill_keeper(self, fault: Fault) -> None:
        self._did(fault, keeping.kill(self, self.random, fault.for_s))

    def _lose_lake(self, fault: Fault) -> None:
        keeping.has_files(self)
        self._set_clock(fault.by_s)  # they leave when they are old
        try:
            self._did(fault, keeping.loses_lake(self, fault.for_s))
        finally:
            self._set_clock(0)

    def _did(self, fault: Fault, times: int) -> None:
        self.done[fault.what] = self.done.get(fault.what, 0) + times

    def _jump_clock(self, fault: Fault) -> None:
        self._set_clock(fault.by_s)
        time.sleep(fault.for_s)
        self._set_clock(0)

    def _set_clock(self, by_s: int) -> None:
        draft = self.clock.with_suffix(".new")
        draft.write_text(f"{by_s:+d}\n")
        draft.rename(self.clock)

    def _fill_disk(self, fault: Fault) -> None:
        ballast = self.state_dir / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(2**20))
        with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        met = keeping.fails(self)
        time.sleep(fault.for_s)
        ballast.unlink()
        self._did(fault, met)

    def _crowd_disk(self, fault: Fault) -> None:
        """Kills a worker and leaves room for one segment, then for none: the worker that comes up has none in reserve,
        and refuses. Again if it had both before the room was taken."""
        tenant, end = self.run.groups[0].tenant, time.monotonic() + CROWD_S
        ballast = self.state_dir / "crowd"
        with ballast.open("wb", buffering=0) as file:
            while not self._refuses(file, fault, tenant):
                if time.monotonic() > end:
                    ballast.unlink()
                    raise AssertionError("no worker refused for want of room")
            time.sleep(fault.for_s)
        ballast.unlink()

    def _refuses(self, ballast: io.FileIO, fault: Fault, tenant: str) -> bool:
        """Whether a worker refuses for want of room, within some seconds of its being killed."""
        before = set(self.state_dir.glob("journal/*"))
        ballast.truncate(0)
        ballast.seek(0)
        self._leave(ballast, SEGMENT_BYTES * 5 // 4)
        self._kill_worker(fault)
        again_s = time.monotonic() + CROWD_S / 6
        while time.monotonic() < again_s:
            begun = any(segment.parent not in before for segment in self.state_dir.glob("journal/*/*.seg"))
            self._leave(ballast, SEGMENT_BYTES // 4 if begun else SEGMENT_BYTES * 5 // 4)
            if not begun:
                time.sleep(0.002)
                continue
            with contextlib.suppress(httpx.HTTPError):
                if "store_unavailable" in self.ask(tenant, 0, "quick").text:
                    return True
        return False

    def _leave(self, ballast: io.FileIO, room: int) -> None:
        """Takes all of the disk but this."""
        disk = os.statvfs(self.state_dir)
        with contextlib.suppress(OSError):
            ballast.write(bytes(max(0, disk.f_bavail * disk.f_frsize - room)))


@contextlib.contextmanager
def deployed(run: Run, folder: Path) -> Iterator[Deployment]:
    """Everything up and ready; nothing of it is left after the block. Raises Impossible."""
    for fault in run.faults:
        if reason := cannot(fault.what):
            raise Impossible(reason)
    here = Deployment(run, folder)
    here.state_dir.mkdir(parents=True)
    here.clock.write_text("+0\n")
    script = folder / "script.json"
    script.write_bytes(msgspec.json.encode(plan.script(run.seed)))
    with contextlib.ExitStack() as stack:
        if run.small_disk:
            _mount(here.state_dir)
            stack.callback(_unmount, here.state_dir)
        if run.store != "sqlite":
            here.store = RedisServer() if run.store == "redis" else PostgresServer()
            stack.callback(here.store.close)
            here.store.start()
        here.upstream = stack.enter_context(
            server_process.serving("gateway.backends.fake", "--script", str(script), "--port", "0")
        )
        url = here.store.url if here.store is not None else None
        config = plan.configuration(run, here.upstream.address, url, f"local://{here.lake}")
        config["server"]["bind"] = f"127.0.0.1:{here.port}"
        write(folder / "config", config)
        stack.callback(_end, here)
        here.start_gateway()
        yield here


def _end(here: Deployment) -> None:
    gateway = here.gateway
    if gateway is None:
        return
    below = descendants(gateway.pid) if gateway.process.poll() is None else []
    gateway.kill()
    for pid in below:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(lives(pid) for pid in below), "all processes of the gateway have ended")
    if gateway.process.stdout is not None:
        gateway.process.stdout.close()


def _mount(folder: Path) -> None:
    program = shutil.which("mount")
    if program is None:
        raise Impossible("there is no mount")
    done = subprocess.run(
        [program, "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Impossible(f"a small disk cannot be mounted: {done.stderr.strip()}")


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)
