"""scheduler.turns lets other tasks run while a generator computes."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from time import perf_counter

import pytest

from scheduler import turns
from scheduler.turns import MAX_STEP, SharedTurns, convert_each, finish


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


async def test_pieces_of_shared_work_take_turns_and_others_run_after_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_STEP", 0.0)
    shared, seen = SharedTurns(), list[str]()

    async def work(name: str) -> None:
        await shared.do_each(lambda _: seen.append(name), range(3))

    async def watch() -> None:
        while True:
            seen.append("-")
            await asyncio.sleep(0)

    other = asyncio.ensure_future(watch())
    await asyncio.gather(work("a"), work("b"))
    other.cancel()
    steps = "".join(seen)
    assert [step for step in steps if step != "-"] == [*"ababab"]
    assert not {"aa", "ab", "ba", "bb"} & {steps[place : place + 2] for place in range(len(steps))}


async def test_shared_work_that_fails_leaves_the_turn_to_others() -> None:
    shared, seen = SharedTurns(), list[int]()
    with pytest.raises(ZeroDivisionError):
        await shared.do_each(lambda each: 1 / each, [0])
    await shared.do_each(seen.append, [1])
    assert seen == [1]
