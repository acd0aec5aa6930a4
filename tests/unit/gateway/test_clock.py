"""The clock that tests move, and the machine's."""

from __future__ import annotations

import asyncio

import pytest

from gateway.clock import Clock, ManualClock, SteadyClock, SystemClock, wall_offset_ns, within


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(wall_ns=5, monotonic_s=1.0)
    assert (clock.wall_ns(), clock.monotonic_s()) == (5, 1.0)
    assert (clock.wall_ns(), clock.monotonic_s()) == (5, 1.0)


def test_moving_a_manual_clock_moves_both_readings() -> None:
    clock = ManualClock(wall_ns=5, monotonic_s=1.0)
    clock.advance(2.5)
    assert (clock.wall_ns(), clock.monotonic_s()) == (2_500_000_005, 3.5)


def test_the_clock_of_the_machine_reads_nanoseconds_and_never_goes_back() -> None:
    clock: Clock = SystemClock()
    assert clock.wall_ns() > 1_700_000_000 * 10**9
    assert clock.monotonic_s() <= clock.monotonic_s()


def test_a_steady_clock_is_monotonic_time_and_what_it_was_behind() -> None:
    clock: Clock = SteadyClock(wall_offset_ns())
    assert abs(clock.wall_ns() - SystemClock().wall_ns()) < 10**9
    ahead = SteadyClock(wall_offset_ns() + 3_600 * 10**9)
    assert 3_599 * 10**9 < ahead.wall_ns() - clock.wall_ns() < 3_601 * 10**9
    assert clock.monotonic_s() <= SystemClock().monotonic_s()


def test_a_cancellation_is_not_lost_that_comes_as_what_is_waited_for_is_done() -> None:
    async def main() -> None:
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def waits() -> int:
            return await within(asyncio.shield(done), 60)

        task = asyncio.ensure_future(waits())
        await asyncio.sleep(0)  # it waits
        done.set_result(1)
        await asyncio.sleep(0)  # what it waits for is done, and it has not been told yet
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_what_takes_too_long_is_cancelled() -> None:
    async def main() -> None:
        ended: list[bool] = []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        with pytest.raises(TimeoutError):
            await within(work(), 0.01)
        assert ended == [True]

    asyncio.run(main())
