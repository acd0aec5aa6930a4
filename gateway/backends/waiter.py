"""A place to wait for one value, for coroutines that are stepped by hand (`dataplane.stepping`).

An asyncio future wakes its waiter in the loop's next turn, by way of two queues; this wakes it at once, in the stack
of whoever sets the value. On the request's path that is worth more than parsing its body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiter(Generic[T]):
    """Set once, with a value or an error; awaited once, before or after. `resume` is set by whoever steps the
    coroutine.
    """

    __slots__ = ("_error", "_value", "done", "resume")

    def __init__(self) -> None:
        self.done = False
        self.resume: Callable[[], None] | None = None
        self._value: T | None = None
        self._error: BaseException | None = None

    def set(self, value: T) -> None:
        """The value is there: the coroutine goes on now, before this returns."""
        self.done = True
        self._value = value
        resume = self.resume
        if resume is not None:
            resume()

    def fail(self, error: BaseException) -> None:
        """There will be no value: the coroutine goes on now, with the error."""
        self.done = True
        self._error = error
        resume = self.resume
        if resume is not None:
            resume()

    def __await__(self) -> Generator[Waiter[T], None, T]:
        if not self.done:
            yield self
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # set with a T

    async def in_task(self) -> T:
        """The same for a coroutine that is an ordinary asyncio task."""
        if not self.done:
            future = asyncio.get_running_loop().create_future()
            self.resume = lambda: None if future.done() else future.set_result(None)
            await future
        return await self
