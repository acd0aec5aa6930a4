"""gateway.dataplane.stepping"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from gateway.backends.waiter import Waiter
from gateway.dataplane.stepping import Stepper
from tests.support.running import run


class Scene:
    """A loop's exception handler, and what happened, in order."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.seen: list[object] = []
        self.lost: list[object] = []
        self.loop.set_exception_handler(lambda _, context: self.lost.append(context["exception"]))

    def stepper(self, coroutine: Coroutine[Any, Any, None]) -> Stepper:
        """One that tells its end."""
        stepper = Stepper(coroutine, self.loop)
        stepper.on_end = lambda: self.seen.append("end")
        return stepper

    async def awaits(self, awaitable: Any) -> None:
        """A handler with one wait, telling what it met there."""
        try:
            self.seen.append(await awaitable)
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        finally:
            self.seen.append("finally")


async def turns(count: int = 5) -> None:
    """Lets the loop do all it has to do."""
    for _ in range(count):
        await asyncio.sleep(0)


def played(play: Callable[[Scene], Coroutine[Any, Any, None]]) -> Scene:
    """The scene after `play`, in which nothing was lost."""

    async def main() -> Scene:
        scene = Scene()
        await play(scene)
        await turns()
        return scene

    scene = run(main())
    assert scene.lost == []
    return scene


def test_a_handler_without_a_wait_has_ended_when_start_returns() -> None:
    async def handler(scene: Scene) -> None:
        scene.seen.append("ran")

    async def play(scene: Scene) -> None:
        stepper = scene.stepper(handler(scene))
        assert not stepper.ended
        stepper.start()
        assert stepper.ended
        assert scene.seen == ["ran", "end"]

    played(play)


def test_a_value_is_met_in_the_stack_of_whoever_sets_it() -> None:
    async def play(scene: Scene) -> None:
        waiter: Waiter[int] = Waiter()
        stepper = scene.stepper(scene.awaits(waiter))
        stepper.start()
        assert scene.seen == []
        waiter.set(5)
        assert scene.seen == [5, "finally", "end"]
        assert stepper.ended

    played(play)


def test_futures_sleeps_and_tasks_can_be_waited_for_as_well() -> None:
    async def handler(
        scene: Scene, future: asyncio.Future[int], task: asyncio.Task[int], failing: asyncio.Future[int]
    ) -> None:
        await asyncio.sleep(0)
        scene.seen.append(await future)
        await asyncio.sleep(0.001)
        scene.seen.append(await task)
        with pytest.raises(LookupError):
            await failing

    async def six() -> int:
        return 6

    async def play(scene: Scene) -> None:
        future: asyncio.Future[int] = scene.loop.create_future()
        failing: asyncio.Future[int] = scene.loop.create_future()
        failing.set_exception(LookupError("gone"))
        ended = asyncio.Event()
        stepper = scene.stepper(handler(scene, future, scene.loop.create_task(six()), failing))
        stepper.on_end = ended.set
        stepper.start()
        scene.loop.call_soon(future.set_result, 5)
        await ended.wait()
        assert scene.seen == [5, 6]

    played(play)


# -- cancelling


def _waiter(scene: Scene) -> Any:
    return Waiter()


def _future(scene: Scene) -> Any:
    return scene.loop.create_future()


def _sleep(scene: Scene) -> Any:
    return asyncio.sleep(3600)


def _turn(scene: Scene) -> Any:
    return asyncio.sleep(0)


def _task(scene: Scene) -> Any:
    return scene.loop.create_task(asyncio.sleep(3600))


@pytest.mark.parametrize("wait", [_waiter, _future, _sleep, _turn, _task])
@pytest.mark.parametrize("times", [1, 2])
def test_a_cancelled_handler_meets_it_where_it_waits_and_ends_once(wait: Callable[[Scene], Any], times: int) -> None:
    async def play(scene: Scene) -> None:
        stepper = scene.stepper(scene.awaits(wait(scene)))
        stepper.start()
        for _ in range(times):
            stepper.cancel()
        await turns()
        assert stepper.ended
        stepper.cancel()  # after the end: nothing

    assert played(play).seen == ["cancelled", "finally", "end"]


def test_a_value_that_comes_after_the_cancellation_wakes_nobody() -> None:
    async def play(scene: Scene) -> None:
        waiter: Waiter[int] = Waiter()
        stepper = scene.stepper(scene.awaits(waiter))
        stepper.start()
        stepper.cancel()
        waiter.set(5)

    assert played(play).seen == ["cancelled", "finally", "end"]


@pytest.mark.parametrize("wait", [_waiter, _future, _turn])
def test_what_is_waited_for_while_cleaning_up_is_waited_for_to_its_end(wait: Callable[[Scene], Any]) -> None:
    async def handler(scene: Scene, cleaned: Waiter[str]) -> None:
        try:
            await wait(scene)
        finally:
            scene.seen.append(await cleaned)

    async def play(scene: Scene) -> None:
        cleaned: Waiter[str] = Waiter()
        stepper = scene.stepper(handler(scene, cleaned))
        stepper.start()
        stepper.cancel()
        await turns()
        assert (scene.seen, stepper.ended) == ([], False)
        cleaned.set("clean")

    assert played(play).seen == ["clean", "end"]


def test_a_handler_cancelled_from_within_its_own_step_meets_it_at_its_next_wait() -> None:
    async def handler(scene: Scene) -> None:
        steppers[0].cancel()
        scene.seen.append("goes on")
        await scene.awaits(Waiter())

    async def play(scene: Scene) -> None:
        steppers.append(scene.stepper(handler(scene)))
        steppers[0].start()
        assert scene.seen == ["goes on"]

    steppers: list[Stepper] = []
    assert played(play).seen == ["goes on", "cancelled", "finally", "end"]


def test_a_handler_cancelled_from_within_its_last_step_has_just_ended() -> None:
    async def handler() -> None:
        steppers[0].cancel()

    async def play(scene: Scene) -> None:
        steppers.append(scene.stepper(handler()))
        steppers[0].start()

    steppers: list[Stepper] = []
    assert played(play).seen == ["end"]


def test_a_cancellation_between_a_futures_result_and_its_step_is_not_lost() -> None:
    async def handler(scene: Scene, future: asyncio.Future[int]) -> None:
        scene.seen.append(await future)
        await scene.awaits(Waiter())

    async def play(scene: Scene) -> None:
        future: asyncio.Future[int] = scene.loop.create_future()
        stepper = scene.stepper(handler(scene, future))
        stepper.start()
        future.set_result(5)
        stepper.cancel()

    assert played(play).seen == [5, "cancelled", "finally", "end"]


def test_a_handler_cancelled_before_it_began_never_begins() -> None:
    async def play(scene: Scene) -> None:
        stepper = scene.stepper(scene.awaits(Waiter()))
        stepper.cancel()
        assert stepper.ended

    assert played(play).seen == ["end"]


# -- what must not happen


def test_an_exception_that_a_handler_lets_out_reaches_the_loops_handler_and_is_its_end() -> None:
    async def handler(waiter: Waiter[int]) -> None:
        await waiter
        raise LookupError("a bug")

    async def main() -> None:
        scene = Scene()
        waiter: Waiter[int] = Waiter()
        stepper = scene.stepper(handler(waiter))
        stepper.start()
        waiter.set(5)  # and nothing is raised into whoever sets it
        assert [type(error) for error in scene.lost] == [LookupError]
        assert (scene.seen, stepper.ended) == (["end"], True)

    run(main())
