"""Long work of many tasks: one step of all of them in an iteration of the event loop."""

from __future__ import annotations

import asyncio
from collections import Counter

from jobs.turns import wait_for_turn


class Iterations:
    """Counts the iterations of the running event loop."""

    def __init__(self) -> None:
        self.number = 0
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._count)

    def _count(self) -> None:
        self.number += 1
        self._handle = self._loop.call_soon(self._count)

    def stop(self) -> None:
        self._handle.cancel()


async def test_one_task_does_a_step_in_an_iteration_of_the_loop() -> None:
    iterations, steps = Iterations(), Counter[int]()

    async def work() -> None:
        for _ in range(5):
            await wait_for_turn()
            steps[iterations.number] += 1

    await asyncio.gather(*(work() for _ in range(20)))
    iterations.stop()

    assert (steps.total(), max(steps.values())) == (100, 1)


async def test_tasks_get_their_turns_in_order() -> None:
    order: list[str] = []

    async def work(name: str) -> None:
        for _ in range(2):
            await wait_for_turn()
            order.append(name)

    await asyncio.gather(work("a"), work("b"), work("c"))

    assert order == ["a", "b", "c", "a", "b", "c"]


async def test_a_cancelled_task_holds_nobody_up() -> None:
    waiting = [asyncio.create_task(wait_for_turn()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()

    await asyncio.wait_for(waiting[2], timeout=5)
    await asyncio.wait_for(wait_for_turn(), timeout=5)


def test_each_event_loop_has_its_own_line() -> None:
    for _ in range(2):
        asyncio.run(asyncio.wait_for(wait_for_turn(), timeout=5))
