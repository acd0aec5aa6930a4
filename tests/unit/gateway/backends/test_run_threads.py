from __future__ import annotations

import asyncio
import threading

import pytest

from gateway.backends.run_threads import RunThreads
from gateway.errors import UpstreamBusy, UpstreamTimeout
from tests.support.running import run


def _nothing() -> None:
    pass


def test_work_runs_in_a_thread_and_gives_what_it_returns_or_raises() -> None:
    def fails() -> None:
        raise ValueError("no")

    async def main() -> None:
        threads = RunThreads(1, 1)
        assert await threads.run(threading.current_thread, _nothing, 60) is not threading.current_thread()
        with pytest.raises(ValueError, match="no"):
            await threads.run(fails, _nothing, 60)
        assert threads.outstanding == 0
        threads.close()

    run(main())


def test_more_work_than_may_wait_is_turned_away() -> None:
    async def main() -> None:
        threads = RunThreads(1, 1)
        go_on = threading.Event()
        running = [asyncio.create_task(threads.run(go_on.wait, go_on.set, 60)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(UpstreamBusy) as refused:
            await threads.run(go_on.wait, _nothing, 60)
        assert dict(refused.value.headers) == {"retry-after": "1"}
        go_on.set()
        assert await asyncio.gather(*running) == [True, True]
        assert await threads.run(go_on.wait, _nothing, 60)
        threads.close()

    run(main())


def test_work_that_is_late_is_stopped_and_is_a_timeout() -> None:
    async def main() -> None:
        threads = RunThreads(1, 1)
        stopped = threading.Event()
        with pytest.raises(UpstreamTimeout, match="did not answer in time"):
            await threads.run(stopped.wait, stopped.set, 0.01)
        assert stopped.is_set()
        threads.close()

    run(main())


def test_work_whose_caller_left_is_stopped() -> None:
    async def main() -> None:
        threads = RunThreads(1, 1)
        begun, stopped = threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            stopped.wait()

        task = asyncio.create_task(threads.run(work, stopped.set, 60))
        await asyncio.get_running_loop().run_in_executor(None, begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stopped.is_set()
        threads.close()

    run(main())


def test_work_that_waits_when_its_caller_leaves_is_never_begun() -> None:
    async def main() -> None:
        threads = RunThreads(1, 1)
        go_on, begun = threading.Event(), threading.Event()
        first = asyncio.create_task(threads.run(go_on.wait, go_on.set, 60))
        await asyncio.sleep(0)
        second = asyncio.create_task(threads.run(begun.set, _nothing, 60))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go_on.set()
        await first
        await threads.run(_nothing, _nothing, 60)
        assert not begun.is_set()
        threads.close()

    run(main())
