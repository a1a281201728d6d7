"""scheduler/alerting/facts.py: which jobs have run since a start, and how long that is waited for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.alerting.evaluation.silent_jobs import DueTimes
from scheduler.alerting.facts import MAX_FIRST_WAIT, FirstRuns
from scheduler.catalog.catalog import JobSnapshot
from scheduler.stores.schedules import MAX_PLANNING_GAP, PLANNED_UNTIL_CURSOR, Cursors
from tests.scheduler.alerting.evaluation.evaluator_world import START, ListedRuns, run_of
from tests.scheduler.fakes import entry
from tests.scheduler.stores.memory import MemoryStore

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
TIMEOUT: dict[str, Any] = {"timeout": {"run": "20s"}}
JOBS = JobSnapshot(
    [
        entry("often", "every 1m", **TIMEOUT),
        entry("daily", "every 1d", **TIMEOUT),
        entry("manual", None),
        entry("after", None, depends_on=["often"], **TIMEOUT),
        entry("disabled", "every 1m", enabled=False),
    ]
)


class Desk:
    def __init__(self) -> None:
        self.cursors = Cursors(MemoryStore())
        self.runs = ListedRuns()
        self.due_times = DueTimes(self.runs)  # type: ignore[arg-type]
        self.first_runs = FirstRuns(self.cursors, self.due_times, shares_runs=True)

    def run(self, job: str, minute: float) -> None:
        run = run_of(job, minute, "F")
        self.runs.runs[run.id] = run

    async def find_end(self, job: str, now: datetime, *, is_missed: bool = False) -> datetime | None:
        await self.first_runs.read(now, [job])
        return self.first_runs.find_end(JOBS, job, now, is_missed=is_missed)


async def test_a_job_is_waited_for_until_the_verdict_of_its_first_run() -> None:
    desk = Desk()
    desk.run("often", -1)
    await desk.cursors.record_start(START)
    assert await desk.find_end("often", START) is not None
    desk.run("often", 1)
    assert await desk.find_end("often", START + MINUTE + SECOND) is not None, "its verdict may not be stored yet"
    assert await desk.find_end("often", START + MINUTE + 5 * SECOND) is None


@pytest.mark.parametrize(
    ("job", "longest"),
    [("often", 3 * MINUTE), ("daily", MAX_FIRST_WAIT), ("after", MAX_FIRST_WAIT), ("manual", None)],
)
async def test_the_wait_is_bounded(job: str, longest: timedelta | None) -> None:
    desk = Desk()
    await desk.cursors.record_start(START)
    end = await desk.find_end(job, START + SECOND)
    assert (None if end is None else end - START <= longest) is (None if longest is None else True)  # type: ignore[operator]
    assert await desk.find_end(job, START + (longest or MINUTE)) is None


async def test_without_a_start_nothing_is_waited_for() -> None:
    assert await Desk().find_end("often", START) is None


@pytest.mark.parametrize("job", ["disabled", "unknown"])
async def test_a_job_that_does_not_run_is_not_waited_for(job: str) -> None:
    desk = Desk()
    await desk.cursors.record_start(START)
    assert await desk.find_end(job, START) is None


async def test_an_opening_waits_only_for_a_run_that_was_missed() -> None:
    desk = Desk()
    desk.run("daily", -60)
    desk.run("often", -60)
    await desk.cursors.record_start(START)
    assert await desk.find_end("daily", START, is_missed=True) is None
    assert await desk.find_end("often", START, is_missed=True) is not None


async def test_ticks_after_a_gap_are_a_start_and_those_each_minute_are_none() -> None:
    cursors = Desk().cursors
    for minute in range(5):
        await cursors.advance(PLANNED_UNTIL_CURSOR, START + minute * MINUTE)
        assert await cursors.find_start(START + minute * MINUTE) is None
    resumed_at = START + 4 * MINUTE + MAX_PLANNING_GAP + SECOND
    assert await cursors.find_start(resumed_at) == resumed_at
    assert await cursors.find_start(resumed_at + SECOND) == resumed_at, "the gap is recorded once"
    await cursors.advance(PLANNED_UNTIL_CURSOR, resumed_at + MINUTE)
    assert await cursors.find_start(resumed_at + MINUTE) == resumed_at, "another process finds it"


async def test_a_start_in_the_future_is_unknown_and_replaced_by_the_next_one() -> None:
    cursors = Desk().cursors
    await cursors.record_start(START + 60 * MINUTE)
    assert await cursors.find_start(START) is None
    await cursors.record_start(START)
    assert await cursors.find_start(START) == START
