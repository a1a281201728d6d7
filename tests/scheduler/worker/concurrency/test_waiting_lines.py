"""The work for a ticket does not depend on how many others wait: steps are counted, not time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import scheduler
from scheduler.catalog.catalog import CatalogJob
from scheduler.worker.places import FifoSemaphore, Shares
from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import VirtualTimeLoop
from tests.scheduler.fakes import WorkerHarness, entry

FEW, MANY = 10, 10_000
ROOT = Path(scheduler.__file__).parent
COUNTED = tuple(str(ROOT / part) for part in ("worker", "gates", "catalog", "planning", "leasing.py", "turns.py"))


class Steps:
    number = 0


@contextmanager
def counted() -> Iterator[Steps]:
    """Count the lines of these parts that are executed, each turn of a comprehension too."""
    steps = Steps()

    def count_line(frame: FrameType, event: str, _: Any) -> Any:
        steps.number += 1
        return count_line

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        return count_line if frame.f_code.co_filename.startswith(COUNTED) else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield steps
    finally:
        sys.settrace(before)


async def steps_of_a_place(waiting: int, job_of: Callable[[int], tuple[str, str]], shares: Shares) -> float:
    """The steps by which a place goes from one run to the next one, in the middle of a line."""
    places = FifoSemaphore(10, shares)
    tasks = [asyncio.ensure_future(places.acquire(*job_of(number))) for number in range(10 + waiting + 20)]
    await asyncio.sleep(0)
    held = [task.result() for task in tasks if task.done()]
    for _ in range(5):  # what the limits hold back is sorted once
        places.release(held.pop(0))
        await asyncio.sleep(0)
        held += [task.result() for task in tasks if task.done() and task.result() not in held][-1:]
    with counted() as steps:
        for _ in range(5):
            places.release(held.pop(0))
            await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return steps.number / 5


@pytest.mark.parametrize(
    ("job_of", "shares"),
    [
        pytest.param(lambda number: (f"job-{number}", "one:80"), Shares(), id="one-host"),
        pytest.param(lambda number: (f"job-{number}", "one:80"), Shares(0.2, 0.3), id="one-host-at-its-share"),
        pytest.param(lambda number: (f"job-{number}", f"{number % 100}:80"), Shares(0.2, 0.3), id="many-hosts"),
        pytest.param(lambda number: (f"job-{number % 500}", f"{number % 5}:80"), Shares(0.2, 0.3), id="many-of-a-job"),
        pytest.param(lambda number: ("job", "one:80"), Shares(), id="one-job"),
    ],
)
async def test_a_place_that_becomes_free_costs_the_same_however_many_runs_wait(
    job_of: Callable[[int], tuple[str, str]], shares: Shares
) -> None:
    few, many = [await steps_of_a_place(number, job_of, shares) for number in (FEW, MANY)]

    assert many <= 1.5 * few + 10


def steps_of_a_ticket(count: int, jobs: Sequence[CatalogJob], places: int) -> float:
    """The steps of a whole worker for each of so many tickets, which are due at the same instant."""

    async def run() -> float:
        harness = WorkerHarness(Hang("body", 0.01), jobs=jobs, places=places)
        tickets = [
            harness.ticket(2 + number // len(jobs) * 0.001, jobs[number % len(jobs)].job.name)
            for number in range(count)
        ]
        with counted() as steps:
            for start in range(0, count, 50):
                harness.worker.submit_batch(tickets[start : start + 50])
            await harness.worker.wait_until_idle()
        assert len(harness.check.calls) == count
        return steps.number / count

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())


@pytest.mark.parametrize(
    ("definition", "places"),
    [
        pytest.param({}, 5, id="for-a-place"),
        pytest.param({"effect": "once"}, 5, id="unclaimed-for-a-place"),
        pytest.param({"concurrency_group": "shared"}, 2000, id="for-a-slot-of-their-group"),
    ],
)
def test_a_run_costs_the_same_however_many_wait_with_it(definition: dict[str, Any], places: int) -> None:
    few, many = [
        steps_of_a_ticket(number, [entry(f"job-{at}", **definition) for at in range(number)], places)
        for number in (20, 300)
    ]

    assert many <= 1.3 * few


def test_a_run_of_a_job_costs_the_same_however_many_of_its_runs_wait() -> None:
    few, many = [steps_of_a_ticket(number, [entry(overlap="buffer_all")], 1000) for number in (20, 300)]

    assert many <= 1.3 * few
