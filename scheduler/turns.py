"""Shares the event loop: long work in short steps, so that due runs start in between.

Used where lists are read and converted: scheduler.stores.runs, scheduler.queries and scheduler.api.routing;
and by scheduler.catalog.composition. SharedTurns are those of statistics and exports: see scheduler.services.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable
from time import perf_counter
from typing import Any, Final, TypeVar

MAX_STEP: Final = 0.001
"""Seconds of work until other tasks run."""

Item = TypeVar("Item")
Result = TypeVar("Result")


async def convert_each(convert: Callable[[Item], Result], items: Iterable[Item], pause: float = 0.0) -> list[Result]:
    """Return the result for each item. Other tasks run after each MAX_STEP.

    `pause`: seconds between two steps. A run has many steps, each of which waits for a step of this work: pauses make
    long work longer, and delay the run less.
    """
    results: list[Result] = []
    until = perf_counter() + MAX_STEP
    for item in items:
        results.append(convert(item))
        if perf_counter() >= until:
            await asyncio.sleep(pause)
            until = perf_counter() + MAX_STEP
    return results


PAUSE_FACTOR: Final = 4
"""Pauses of SharedTurns are so many times as long as the steps before them."""


class SharedTurns:
    """Steps of work that clients can request at will: all of it together gets a fifth of the event loop.

    One step runs at a time, and no other one until its pause ends: otherwise each further client would delay due runs
    more.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def do_each(self, do: Callable[[Item], object], items: Iterable[Item]) -> None:
        """Call `do` with each item, which the iterable may compute. A step takes MAX_STEP, and an item at least."""
        iterator = iter(items)
        while True:
            async with self._lock:
                began = perf_counter()
                for item in iterator:
                    do(item)
                    if (worked := perf_counter() - began) >= MAX_STEP:
                        await asyncio.sleep(PAUSE_FACTOR * worked)
                        break
                else:
                    return


async def finish(steps: Generator[None, None, Result]) -> Result:
    """Run a generator to its end and return its result. Other tasks run after each MAX_STEP, if it yields so often."""
    until = perf_counter() + MAX_STEP
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
        if perf_counter() >= until:
            await asyncio.sleep(0)
            until = perf_counter() + MAX_STEP


def finish_at_once(steps: Generator[None, None, Result]) -> Result:
    """Return the result of the steps at once: outside of an event loop, or where the work is known to be short."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


async def compute(function: Callable[..., Result], *arguments: Any, in_thread: bool) -> Result:
    """Call a function that computes: at once if that takes about MAX_STEP, else in a thread."""
    return await asyncio.to_thread(function, *arguments) if in_thread else function(*arguments)


def release_later(items: list[Any], delay: float = 0.0) -> None:
    """Drop the references of a list in short steps, from `delay` seconds on: by then, no other references remain.

    Python frees an object with its last reference: those of 10,000 jobs at once would take a tenth of a second.
    """
    asyncio.get_running_loop().call_later(delay, _release_some, items)


def _release_some(items: list[Any]) -> None:
    until = perf_counter() + MAX_STEP
    while items and perf_counter() < until:
        items.pop()
    if items:
        asyncio.get_running_loop().call_soon(_release_some, items)
