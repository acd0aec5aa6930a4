"""gateway.dataplane.turns"""

from __future__ import annotations

import asyncio
from itertools import pairwise

from gateway.dataplane.stepping import Stepper
from gateway.dataplane.turns import Turns


async def turn() -> None:
    """One turn of the event loop."""
    await asyncio.sleep(0)


def test_each_turn_of_the_loop_is_one_requests_in_the_order_of_asking() -> None:
    done: list[str] = []

    async def main() -> None:
        turns, loop = Turns(), asyncio.get_running_loop()

        async def work(name: str, pieces: int) -> None:
            for piece in range(pieces):
                await turns.next()
                done.append(f"{name}{piece}")

        for name in "abc":
            Stepper(work(name, 2), loop).start()
        seen = [len(done)]
        while len(done) < 6:
            await turn()
            seen.append(len(done))
        assert all(after - before <= 1 for before, after in pairwise(seen)), seen

    asyncio.run(main())
    assert done == ["a0", "a1", "b0", "c0", "b1", "c1"]  # each asks again as soon as it was its turn


def test_one_alone_waits_for_nobody_at_first_and_for_the_loop_then() -> None:
    done: list[int] = []

    async def main() -> None:
        turns = Turns()

        async def work() -> None:
            for piece in range(3):
                await turns.next()
                done.append(piece)

        Stepper(work(), asyncio.get_running_loop()).start()
        assert done == [0]
        while len(done) < 3:
            await turn()

    asyncio.run(main())
    assert done == [0, 1, 2]


def test_who_leaves_while_waiting_loses_its_turn_and_nobody_elses() -> None:
    done: list[str] = []

    async def main() -> None:
        turns, loop = Turns(), asyncio.get_running_loop()

        async def work(name: str) -> None:
            await turns.next()
            done.append(name)

        first, second, third = (Stepper(work(name), loop) for name in "abc")
        for each in (first, second, third):
            each.start()
        second.cancel()
        while not third.ended:
            await turn()

    asyncio.run(main())
    assert done == ["a", "c"]
