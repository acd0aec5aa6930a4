"""gateway.runtime.jobs"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.clock import ManualClock
from gateway.runtime.jobs import Jobs
from gateway.telemetry.logs import Log

Lines = list[dict[str, Any]]


def logged(scenario: Callable[[Jobs], Awaitable[None]]) -> Lines:
    """Runs the scenario with jobs that try again at once; what they logged."""
    lines: Lines = []

    async def main() -> None:
        jobs = Jobs(Log(ManualClock(), write=lambda line: lines.append(json.loads(line))), retry_s=0.0)
        await scenario(jobs)
        await jobs.stop()

    asyncio.run(main())
    return lines


def test_a_job_that_fails_is_logged_and_goes_on() -> None:
    async def scenario(jobs: Jobs) -> None:
        tried = 0
        enough = asyncio.Event()

        async def work() -> None:
            nonlocal tried
            tried += 1
            if tried == 3:
                enough.set()
                await asyncio.Event().wait()
            raise ValueError(f"try {tried}")

        jobs.keep("fragile", work)
        await enough.wait()

    lines = logged(scenario)
    assert [(line["event"], line["job"]) for line in lines] == [("job_bug", "fragile")] * 2
    assert "ValueError: try 1" in lines[0]["traceback"]


def test_one_that_is_done_once_is_not_done_again() -> None:
    async def scenario(jobs: Jobs) -> None:
        done = 0
        later = asyncio.Event()

        async def work() -> None:
            nonlocal done
            done += 1
            later.set()

        jobs.once("brief", work)
        await later.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        assert done == 1

    assert logged(scenario) == []


def test_stopping_cancels_what_runs_and_waits_for_its_end() -> None:
    ended = []

    async def scenario(jobs: Jobs) -> None:
        begun = asyncio.Event()

        async def work() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append("tidied")

        jobs.keep("long", work)
        await begun.wait()
        await jobs.stop()
        assert ended == ["tidied"]

    assert logged(scenario) == []


def test_a_job_that_lost_its_cancellation_is_cancelled_again() -> None:
    async def main() -> None:
        jobs = Jobs(Log(ManualClock(), write=lambda line: None), cancel_again_s=0.0)
        lost = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost.set()
            await asyncio.Event().wait()

        jobs.keep("deaf", work)
        await asyncio.sleep(0)  # it begins
        await jobs.stop()
        assert lost.is_set()

    asyncio.run(main())
