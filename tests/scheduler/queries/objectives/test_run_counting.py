"""Counts for objectives: rollups and recent runs together equal a count of all runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest

from jobs.incidents.suppression.spans import Span
from jobs.objectives import BURN_WINDOWS, NO_COUNTS, SliCounts, count_run
from jobs.runs import Outcome, Run
from jobs.runs.outcomes import Trigger
from jobs.runs.run import Failure
from scheduler.features.objectives.run_counting import ObjectiveRunCounter, PeriodCounts, is_excluded
from scheduler.features.statistics.periods import HOUR, hour_of
from scheduler.stores.runs.repository import Runs
from tests.scheduler.stores.memory import MemoryStore
from tests.scheduler.stores.samples import at, run_of, ticket

DAY = 86400
MILLISECOND = timedelta(milliseconds=1)
OUTCOMES = (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.REJECTED, Outcome.TIMED_OUT, Outcome.SKIPPED, Outcome.CANCELLED)


async def store_history(seed: int, days: float, step: int) -> tuple[Runs, list[Run]]:
    """Runs each `step` seconds or so, in phases that are good or bad, with some backfills."""
    random, runs, found = Random(seed), Runs(MemoryStore()), list[Run]()
    second, bad_until = 0.0, 0.0
    while second < days * DAY:
        second += random.choice([step, step / 2, 3 * step])
        if random.random() < 0.01:
            bad_until = second + random.choice([600, 7200, 40_000])
        weights = [2, 5, 2, 2, 1, 1] if second < bad_until else [50, 1, 0, 0, 2, 1]
        outcome = random.choices(OUTCOMES, weights)[0]
        one = replace(ticket("checkout", second), trigger=random.choice([Trigger.SCHEDULE] * 9 + [Trigger.BACKFILL]))
        run = replace(run_of(one), outcome=outcome, started_at=one.due_at, trigger=one.trigger)
        await runs.insert_finished(one, run)
        found.append(run)
    return runs, found


def count(runs: Sequence[Run], begin: datetime, end: datetime, excluded: Sequence[Span]) -> PeriodCounts:
    counts, left_out = NO_COUNTS, NO_COUNTS
    for run in runs:
        if begin <= run.due_at < end:
            one = count_run(run.outcome, run.trigger, is_degraded=run.degraded, is_degraded_bad=False)
            if is_excluded(run.due_at, excluded):
                left_out += one
            else:
                counts += one
    return PeriodCounts(counts, left_out)


EXCLUDED = [
    Span(at(3 * 3600 + 125), at(3 * 3600 + 700)),
    Span(at(11 * 3600 + 5), at(20 * 3600 + 100)),
    Span(at(36 * 3600), at(60 * 3600)),
    Span(at(84 * 3600), at(85 * 3600 - 10)),
    Span(at(5 * DAY), at(9 * DAY)),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("excluded", [[], EXCLUDED], ids=["all", "without excluded times"])
async def test_a_period_of_hours_is_counted_as_all_its_runs(seed: int, excluded: list[Span]) -> None:
    runs, every = await store_history(seed, 6, 900)
    counter = ObjectiveRunCounter(runs, is_degraded_bad=False)
    begin, end = at(0), at(6 * DAY)
    assert await counter.count_hours("checkout", begin, end, excluded) == count(every, begin, end, excluded)


@pytest.mark.parametrize("excluded", [[], EXCLUDED], ids=["all", "without excluded times"])
async def test_windows_of_burn_rates_are_counted_to_the_instant(excluded: list[Span]) -> None:
    runs, every = await store_history(7, 4.1, 240)
    counter = ObjectiveRunCounter(runs, is_degraded_bad=False)
    last = every[-1].due_at
    nows = [last + timedelta(seconds=seconds) for seconds in (0, 1, 100, 3600, 2 * DAY)]
    for now in (*nows, hour_of(last) + HOUR + timedelta(minutes=5)):
        expected = {
            window: count(every, now - window + MILLISECOND, now + MILLISECOND, excluded).counts
            for window in BURN_WINDOWS
        }
        assert await counter.count_windows("checkout", now, BURN_WINDOWS, excluded) == expected


async def test_the_counts_stay_when_the_runs_are_deleted_and_say_what_is_not_known() -> None:
    runs, every = await store_history(1, 3, 600)
    counter = ObjectiveRunCounter(runs, is_degraded_bad=False)
    begin, end = at(0), at(3 * DAY)
    whole = await counter.count_hours("checkout", begin, end, [])
    full = Span(at(24 * 3600), at(30 * 3600))
    excluded = await counter.count_hours("checkout", begin, end, [full])
    await runs.prune(end + HOUR, 400 * DAY, 10)

    assert await counter.count_hours("checkout", begin, end, []) == whole
    assert await counter.count_hours("checkout", begin, end, [full]) == excluded
    divided = await counter.count_hours("checkout", begin, end, [Span(at(24 * 3600 + 60), full.end)])
    assert not divided.is_complete
    assert divided.counts.valid > excluded.counts.valid
    assert len(every) > 10


async def test_degraded_runs_are_bad_if_the_objective_says_so() -> None:
    runs = Runs(MemoryStore())
    one = ticket("checkout", 0)
    run = run_of(one)
    attempt = replace(run.attempts[0], failures=(Failure("status", "200", "201"),))
    await runs.insert_finished(one, replace(run, attempts=(attempt,)))
    for is_bad in (False, True):
        counter = ObjectiveRunCounter(runs, is_degraded_bad=is_bad)
        counted = await counter.count_hours("checkout", at(0), at(3600), [])
        recent = await counter.count_windows("checkout", at(10), [timedelta(minutes=5)], [])
        assert counted.counts == recent[timedelta(minutes=5)] == SliCounts(1, int(is_bad))


async def test_a_run_at_the_beginning_of_a_window_is_outside_also_at_a_full_hour() -> None:
    runs = Runs(MemoryStore())
    for seconds in (0, 150, 300):
        one = ticket("checkout", seconds)
        await runs.insert_finished(one, run_of(one))
    window = timedelta(minutes=5)
    found = await ObjectiveRunCounter(runs, is_degraded_bad=False).count_windows("checkout", at(300), [window], [])
    assert found[window] == SliCounts(2, 0)
