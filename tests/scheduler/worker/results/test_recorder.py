"""Results that are written together, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from jobs.runs import Outcome, Ticket
from scheduler.catalog.catalog import CatalogJob
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import RunResult
from scheduler.worker.execution import MIN_RESULT_DELAY
from scheduler.worker.options import EMBEDDED_OPTIONS, FUNCTIONS_OPTIONS, WorkerOptions
from scheduler.worker.recorder import MAX_RESULTS_PER_WRITE
from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import WorkerHarness, entry


class Counted:
    """A shop's `finish_all`, watched: how many results each writing had, and seconds after the start."""

    def __init__(self, harness: WorkerHarness, takes: float = 0.0) -> None:
        self._shop, self._takes = harness, takes
        self._finish_all = harness.runs.finish_all
        self.groups: list[tuple[float, int]] = []
        harness.runs.finish_all = self._counted  # type: ignore[method-assign]  # watches the real one

    async def _counted(self, ends: Sequence[RunResult]) -> Sequence[StoreError | None]:
        self.groups.append((round(self._shop.clock.monotonic(), 2), len(ends)))
        await asyncio.sleep(self._takes)
        return await self._finish_all(ends)

    @property
    def sizes(self) -> list[int]:
        return [size for _, size in self.groups]


async def perform(
    count: int, ways: WorkerOptions, seconds: float = 1.0, takes: float = 0.0, every: float = 0.0
) -> Counted:
    """So many runs of so many seconds, each due `every` seconds after the one before."""
    jobs = [entry(f"j{number}", schedule=None) for number in range(count)]
    harness = WorkerHarness(Hang("body", seconds), jobs=jobs, places=count, ways=ways)
    counted = Counted(harness, takes)
    await harness.worker.execute_batch([harness.ticket(1 + every * number, f"j{number}") for number in range(count)])
    assert [event.run.outcome for event in harness.heard.finished] == [Outcome.SUCCEEDED] * count
    return counted


@virtual_time
@pytest.mark.parametrize("ways", [EMBEDDED_OPTIONS, FUNCTIONS_OPTIONS], ids=["embedded", "functions"])
async def test_results_wait_for_others_for_a_moment(ways: WorkerOptions) -> None:
    counted = await perform(10, ways, every=ways.result_delay / 15)

    assert counted.groups == [(round(2 + ways.result_delay, 2), 10)]


@virtual_time
async def test_enough_results_do_not_wait_any_longer() -> None:
    counted = await perform(MAX_RESULTS_PER_WRITE + 3, FUNCTIONS_OPTIONS)

    assert counted.groups == [(2.0, MAX_RESULTS_PER_WRITE), (2 + FUNCTIONS_OPTIONS.result_delay, 3)]


@virtual_time
@pytest.mark.parametrize(
    "entry_of",
    [
        pytest.param(lambda: [entry("first", effect="once")], id="what must not run twice"),
        pytest.param(lambda: [entry("first"), entry("then", None, depends_on=["first"])], id="what others follow"),
    ],
)
async def test_a_result_is_written_at_once_if_it_is_needed(entry_of: Callable[[], list[CatalogJob]]) -> None:
    harness = WorkerHarness(Hang("body", 1.0), jobs=entry_of())
    counted = Counted(harness)
    await harness.worker.execute_batch([harness.ticket(1, "first")])

    assert counted.groups[0] == (2.0, 1)


@virtual_time
async def test_what_people_request_is_written_at_once() -> None:
    harness = WorkerHarness(Hang("body", 1.0))
    counted = Counted(harness)
    await harness.worker.execute(Ticket.requested("checkout", harness.clock.now(), entry().generation))

    assert counted.groups == [(1.0, 1)]


@virtual_time
async def test_a_result_does_not_linger_when_the_next_run_of_its_job_is_close() -> None:
    """It would find this one open, and be left out."""
    harness = WorkerHarness(
        Hang("body", 8.9), jobs=[entry("tight", "every 10s"), entry("roomy", "every 60s")], ways=FUNCTIONS_OPTIONS
    )
    counted = Counted(harness)
    shift = timedelta(seconds=-harness.clock.now().second % 10)
    tickets = [harness.ticket(shift.total_seconds(), job) for job in ("tight", "roomy")]

    await harness.worker.execute_batch(tickets)

    assert counted.sizes == [2] or counted.sizes == [1, 1]
    assert counted.groups[0][0] == round(shift.total_seconds() + 8.9 + MIN_RESULT_DELAY, 2)
