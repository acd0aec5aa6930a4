"""What happens when a process of the gateway dies: it is replaced, callers wait or are told, and no request is without
a record."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from gateway.store.journal_read import Tail, directories
from gateway.store.records import Record
from tests.integration.test_serve_drain import Stream, over
from tests.support.gateway_process import GatewayProcess, minimal, serving, until
from tests.support.running import run
from tests.support.upstream import FRAMES, STREAM_HEAD, Upstream, chunk, hangs


def records(state_dir: Path) -> list[Record]:
    """All records in the journals, the oldest worker first."""
    return [record for directory in directories(state_dir) for record in Tail(directory).drain()]


def metric(gateway: GatewayProcess, name: str) -> float:
    """A sample of the metrics page."""
    for line in gateway.request("GET", "/metrics", ops=True).body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"no {name} among the metrics")


def test_a_killed_worker_is_replaced_and_its_request_has_a_record(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Upstream([hangs(STREAM_HEAD + b"".join(map(chunk, FRAMES[:2])))]) as upstream:
            with serving(tmp_path, over(upstream)) as gateway:
                stream = await Stream.begin(gateway)
                (pid,) = gateway.worker_pids()
                os.kill(pid, signal.SIGKILL)
                assert b"[DONE]" not in await stream.rest()
                await asyncio.to_thread(gateway.until_event, "worker_ready", 2)
                (ended,) = gateway.events("worker_ended")
                assert (ended["pid"], ended["end"]) == (pid, "SIGKILL")
                await asyncio.to_thread(gateway.until_event, "journal_recovered")
                crashed = [record for record in records(gateway.state_dir) if record.outcome == "crashed"]
                assert [(record.tenant, record.alias) for record in crashed] == [("acme", "small")]
                await asyncio.to_thread(
                    until, lambda: metric(gateway, "lockgate_records_recovered_total") == 1, "the recovery is counted"
                )
                assert metric(gateway, "lockgate_records_opened_total") == 1
                assert metric(gateway, "lockgate_records_gap") == 0
                assert metric(gateway, 'lockgate_worker_restarts_total{worker="0"}') == 1

    run(scenario())


def test_a_connection_made_while_no_worker_lives_is_served_by_the_next(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        (pid,) = gateway.worker_pids()
        os.kill(pid, signal.SIGKILL)
        assert gateway.chat("still here").status == 200
        gateway.until_event("worker_ready", 2)
        assert gateway.worker_pids() != [pid]


def test_a_worker_that_dies_again_and_again_is_started_again_and_again(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        for deaths in range(1, 4):
            os.kill(gateway.worker_pids()[0], signal.SIGKILL)
            gateway.until_event("worker_ready", deaths + 1)
        assert gateway.events("worker_restart_waits")
        assert gateway.chat().status == 200


def test_the_other_workers_serve_on_while_one_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path, minimal(server={"workers": 2})) as gateway:
        first, second = gateway.worker_pids()
        os.kill(first, signal.SIGKILL)
        gateway.until_event("worker_ready", 3)
        assert gateway.worker_pids()[1] == second
        until(lambda: gateway.readiness()["ready"], "ready again")


def test_readiness_names_a_worker_that_does_not_answer(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        (pid,) = gateway.worker_pids()
        os.kill(pid, signal.SIGSTOP)
        until(lambda: gateway.readiness()["workers"] == {"0": "silent"}, "the worker is found silent")
        assert gateway.request("GET", "/readyz", ops=True).status == 503
        os.kill(pid, signal.SIGCONT)
        until(lambda: gateway.readiness()["ready"], "ready again")


def test_a_child_that_dies_is_started_again_at_its_address(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        (child,) = gateway.child_pids()
        os.kill(child, signal.SIGKILL)
        gateway.until_event("child_ended")
        until(lambda: gateway.chat().status == 200, "the fake server answers again")


def test_what_a_killed_gateway_left_open_is_recovered_by_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Upstream([hangs(STREAM_HEAD + b"".join(map(chunk, FRAMES[:2])))]) as upstream:
            with serving(tmp_path, over(upstream)) as gateway:
                stream = await Stream.begin(gateway)
                for pid in (gateway.pid, *gateway.worker_pids()):
                    os.kill(pid, signal.SIGKILL)
                await stream.rest()
                gateway.process.wait()
            with serving(tmp_path, over(upstream)) as gateway:
                await asyncio.to_thread(gateway.until_event, "journal_recovered")
                assert [record.outcome for record in records(gateway.state_dir)] == ["crashed"]

    run(scenario())
