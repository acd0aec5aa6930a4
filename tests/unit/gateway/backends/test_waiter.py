"""gateway.backends.waiter"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from gateway.backends.waiter import Waiter
from tests.support.running import run


async def waits(waiter: Waiter[int], seen: list[object]) -> None:
    """Tells what waiting gave."""
    try:
        seen.append(await waiter)
    except LookupError as error:
        seen.append(error)


def step(coroutine: Coroutine[Any, Any, None]) -> object:
    """Runs to the next wait; what is waited for, None at the end."""
    try:
        return coroutine.send(None)
    except StopIteration:
        return None


def test_who_waits_goes_on_within_the_call_that_sets_the_value() -> None:
    waiter: Waiter[int] = Waiter()
    seen: list[object] = []
    coroutine = waits(waiter, seen)
    assert step(coroutine) is waiter
    assert not waiter.done
    waiter.resume = lambda: seen.append(step(coroutine))
    waiter.set(5)
    assert seen == [5, None]
    assert waiter.done


def test_who_waits_goes_on_within_the_call_that_fails_and_meets_that_error() -> None:
    waiter: Waiter[int] = Waiter()
    seen: list[object] = []
    coroutine = waits(waiter, seen)
    step(coroutine)
    waiter.resume = lambda: seen.append(step(coroutine))
    error = LookupError("gone")
    waiter.fail(error)
    assert seen == [error, None]


def test_a_value_that_is_there_already_needs_no_wait() -> None:
    waiter: Waiter[int] = Waiter()
    waiter.set(5)
    seen: list[object] = []
    assert step(waits(waiter, seen)) is None
    assert seen == [5]


def test_an_error_that_is_there_already_needs_no_wait() -> None:
    waiter: Waiter[int] = Waiter()
    error = LookupError("gone")
    waiter.fail(error)
    seen: list[object] = []
    assert step(waits(waiter, seen)) is None
    assert seen == [error]


def test_nobody_need_wait() -> None:
    waiter: Waiter[int] = Waiter()
    waiter.set(5)
    assert waiter.done


def test_an_ordinary_task_can_wait_too() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        good: Waiter[int] = Waiter()
        loop.call_soon(good.set, 5)
        assert await good.in_task() == 5
        assert await good.in_task() == 5  # it is there
        bad: Waiter[int] = Waiter()
        loop.call_soon(bad.fail, LookupError("gone"))
        with pytest.raises(LookupError):
            await bad.in_task()

    run(main())


def test_a_task_that_stopped_waiting_is_not_disturbed_by_a_late_value() -> None:
    async def main() -> None:
        waiter: Waiter[int] = Waiter()
        task = asyncio.get_running_loop().create_task(waiter.in_task())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        waiter.set(5)

    run(main())
