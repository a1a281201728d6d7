"""scheduler.turns lets other tasks run while a generator computes."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from time import perf_counter

from scheduler.turns import MAX_STEP, convert_each, finish


async def test_other_tasks_run_between_the_steps_of_a_generator() -> None:
    turns: list[int] = []

    async def count_turns() -> None:
        while True:
            turns.append(len(turns))
            await asyncio.sleep(0)

    def compute() -> Generator[None, None, int]:
        for _ in range(10):
            until = perf_counter() + MAX_STEP
            while perf_counter() < until:
                pass
            yield
        return len(turns)

    other = asyncio.ensure_future(count_turns())
    seen = await finish(compute())
    other.cancel()

    assert seen >= 9


async def test_a_generator_without_steps_returns_its_result() -> None:
    def compute() -> Generator[None, None, str]:
        return "done"
        yield

    assert await finish(compute()) == "done"


async def test_long_work_pauses_between_its_steps() -> None:
    def work(_: int) -> None:
        until = perf_counter() + MAX_STEP
        while perf_counter() < until:
            pass

    began = perf_counter()
    await convert_each(work, range(5), pause=0.01)
    assert perf_counter() - began >= 5 * 0.01


async def test_short_work_does_not_pause() -> None:
    steps = asyncio.ensure_future(convert_each(str, range(3), pause=3600))
    for _ in range(3):
        await asyncio.sleep(0)
    assert steps.done()
