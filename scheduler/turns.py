"""Shares the event loop: long work in short steps, so that due runs start in between.

Used where lists are read and converted: scheduler.stores.runs, scheduler.queries and scheduler.api.list_response;
and by scheduler.catalog.composition.
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
    """The same outside of an event loop, such as in a command, or where the work is known to be short."""
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
