"""The counts of a job in equal spans of time, against a count of the runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest

from jobs.runs import Outcome, Run
from scheduler.catalog.catalog import Catalog, UnknownJob
from scheduler.features.statistics.queries import StatsReader
from scheduler.stores.runs.repository import Runs
from tests.scheduler.fakes import VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore
from tests.scheduler.stores.samples import at, run_of, ticket

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = at(40 * 86400)


async def insert(runs: Runs, due: datetime, outcome: Outcome = Outcome.SUCCEEDED, ms: float = 32.0) -> Run:
    one = ticket("a", (due - at(0)).total_seconds())
    run = run_of(one, outcome)
    (attempt,) = run.attempts
    run = replace(run, attempts=(replace(attempt, phases=replace(attempt.phases, total_ms=ms)),))
    await runs.insert_finished(one, run)
    return run


def reader(runs: Runs) -> StatsReader:
    return StatsReader(Catalog([entry("a")]), runs, VirtualClock(NOW), 400 * 86400.0, 30 * 86400.0)


@pytest.mark.parametrize(
    ("length", "span"),
    [(DAY, HOUR), (7 * DAY, HOUR), (30 * DAY, DAY), (5 * HOUR, timedelta(minutes=5)), (HOUR, timedelta(minutes=1))],
)
async def test_each_point_equals_the_count_of_its_runs(length: timedelta, span: timedelta) -> None:
    random, runs = Random(1), Runs(MemoryStore())
    done = [
        await insert(runs, NOW - random.random() * 1.2 * length, random.choice([*Outcome][:3]), random.uniform(1, 900))
        for _ in range(200)
    ]
    since, until = NOW - length, NOW  # full hours
    series = await reader(runs).read_series("a", since, until)
    assert series.span == span
    assert [point.start for point in series.points] == sorted(
        {series.points[0].start + number * span for number in range(len(series.points))}
    )
    for point in series.points:
        due = [run for run in done if point.start <= run.due_at < point.start + span and since <= run.due_at < until]
        assert point.tally.outcomes == [sum(run.outcome is outcome for run in due) for outcome in Outcome]
        times = sorted(run.response_time_ms or 0 for run in due)
        if times:
            median = times[(len(times) + 1) // 2 - 1]
            assert point.tally.response_time.quantile(0.5) == pytest.approx(median, rel=0.05)


async def test_the_total_is_that_of_all_points() -> None:
    runs = Runs(MemoryStore())
    for minutes in range(1, 4):
        await insert(runs, NOW - timedelta(minutes=minutes))
    assert (await reader(runs).read_series("a", NOW - HOUR, NOW)).total.runs == 3


async def test_runs_that_the_retention_deleted_are_counted_by_the_hour() -> None:
    runs = Runs(MemoryStore())
    await insert(runs, NOW - 35 * DAY)
    await runs.prune(NOW, 30 * 86400, 50)
    series = await reader(runs).read_series("a", NOW - 35 * DAY - HOUR, NOW - 35 * DAY + HOUR)
    assert series.span == HOUR
    assert series.total.runs == 1


async def test_an_unknown_job_has_no_series() -> None:
    with pytest.raises(UnknownJob):
        await reader(Runs(MemoryStore())).read_series("b", NOW - HOUR, NOW)
