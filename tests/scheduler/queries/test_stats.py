"""Statistics against a count of the runs, before and after the runs are deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jobs.runs import Outcome, Run
from scheduler import turns
from scheduler.catalog.catalog import Catalog
from scheduler.features.jobs.selection import parse_selection
from scheduler.features.statistics.periods import Period
from scheduler.features.statistics.queries import (
    CLOSED_CACHED_SECONDS,
    JOBS_AT_ONCE,
    MAX_CACHED_SUMS,
    SCANS_AT_ONCE,
    Stats,
    StatsReader,
    view_stats,
)
from scheduler.features.statistics.sums import StatsSums
from scheduler.stores.port import Row, StoreUnavailable
from scheduler.stores.runs.repository import Runs
from tests.parts.turns import counted_turns
from tests.scheduler.fakes import VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore
from tests.scheduler.stores.samples import NOON, at, run_of, ticket

DAY = 86400
HOUR = timedelta(hours=1)


async def insert(runs: Runs, job: str, seconds: float, outcome: Outcome = Outcome.SUCCEEDED, ms: float = 33) -> Run:
    one = ticket(job, seconds)
    run = replace(run_of(one), outcome=outcome)
    run = replace(run, finished_at=run.started_at + timedelta(milliseconds=ms))
    await runs.insert_finished(one, run)
    return run


def reader(runs: Runs, clock: VirtualClock, *names: str, **tags: dict[str, str]) -> StatsReader:
    entries = [entry(name, tags=tags.get(name.replace("-", "_"), {})) for name in names]
    return StatsReader(Catalog(entries), runs, clock, 400 * DAY, 30 * DAY)


@pytest.mark.parametrize("seed", range(3))
async def test_each_period_equals_the_count_of_its_runs_whether_or_not_they_are_deleted(seed: int) -> None:
    random, runs, done = Random(seed), Runs(MemoryStore()), list[Run]()
    for number in range(600):
        seconds = random.randrange(0, 100 * DAY) + number / 1000
        outcome = random.choices([*Outcome], [8, 2, 1, 1, 1, 1])[0]
        done.append(await insert(runs, "a", seconds, outcome, random.uniform(1, 5000)))
    now = at(100 * DAY)
    periods = [Period.covering(now - timedelta(days=days), now) for days in (1, 7, 90)] + [
        Period.covering(at(random.randrange(0, 50 * DAY)), at(random.randrange(50 * DAY, 100 * DAY))) for _ in range(20)
    ]
    for _ in range(2):
        stats = reader(runs, VirtualClock(now), "a")
        for period in periods:
            due = [run for run in done if period.since <= run.due_at < period.until]
            found = (await stats.read_job("a", period)).sums
            assert found.tally.outcomes == [sum(run.outcome is outcome for run in due) for outcome in Outcome]
            durations = sorted(run.duration_ms for run in due)
            if durations:
                median = durations[(len(durations) + 1) // 2 - 1]
                assert found.tally.duration.quantile(0.5) == pytest.approx(median, rel=0.05)
            assert sum(runs for _, runs, _ in found.busiest_hours()) == len(due)
        await runs.prune(now, 30 * DAY, 50)
    assert len((await runs.list_page("a", limit=500)).records) <= 55


async def test_the_period_before_is_the_trend() -> None:
    runs = Runs(MemoryStore())
    await insert(runs, "a", -3600)
    await insert(runs, "a", 0, Outcome.FAILED)
    await insert(runs, "a", 60)
    stats = await reader(runs, VirtualClock(at(120)), "a").read_job("a", Period(NOON, NOON + HOUR))
    assert (stats.sums.success_rate, stats.sums.tally.runs) == (0.5, 2)
    assert stats.before is not None
    assert (stats.before.success_rate, stats.before.tally.runs) == (1.0, 1)


async def test_the_hours_of_the_day_are_local() -> None:
    runs = Runs(MemoryStore())
    summer, winter = datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 11, 25, 12, tzinfo=UTC)
    for instant in (summer, winter, winter + timedelta(minutes=1)):
        await insert(runs, "a", (instant - NOON).total_seconds())
    for _ in range(2):
        stats = reader(runs, VirtualClock(winter), "a")
        found = await stats.read_job("a", Period(summer - 12 * HOUR, winter + HOUR), ZoneInfo("Europe/Berlin"))
        assert found.sums.busiest_hours() == [(13, 2, 0), (14, 1, 0)]
        await runs.prune(winter + timedelta(days=2), 30 * DAY, 100)


async def test_a_selection_is_summed_up_and_by_the_values_of_a_tag() -> None:
    runs = Runs(MemoryStore())
    for number, job in enumerate(("a", "b", "c", "d"), start=1):
        for second in range(number):
            await insert(runs, job, second)
    stats = reader(runs, VirtualClock(at(60)), "a", "b", "c", "d", a={"team": "x"}, b={"team": "y"}, c={"team": "x"})
    period = Period(NOON, NOON + HOUR)
    everything = await stats.read_selection(parse_selection(), period)
    assert (everything.jobs, everything.total.sums.tally.runs, everything.groups) == (4, 10, ())
    by_team = await stats.read_selection(parse_selection(tags=["team"]), period, UTC, "team")
    assert (by_team.jobs, by_team.total.sums.tally.runs) == (3, 6)
    assert [(value, jobs, one.sums.tally.runs) for value, jobs, one in by_team.groups] == [("x", 2, 4), ("y", 1, 2)]
    named = await stats.read_selection(parse_selection(names=["d"]), period)
    assert named.total.sums.tally.runs == 4


async def test_sums_of_many_jobs_are_cached_and_the_current_hour_is_read_again() -> None:
    store = MemoryStore()
    runs, clock = Runs(store), VirtualClock(at(60))
    for job in ("a", "b"):
        await insert(runs, job, -7200)
    await runs.prune(clock.now(), 30 * DAY, 100)
    stats = reader(runs, clock, "a", "b")
    period = Period(NOON - 5 * HOUR, NOON + HOUR)
    assert (await stats.read_selection(parse_selection(), period)).total.sums.tally.runs == 2
    before = store.reads
    await insert(runs, "a", 10)
    assert (await stats.read_selection(parse_selection(), period)).total.sums.tally.runs == 2
    assert store.reads == before
    clock.move(2)
    assert (await stats.read_selection(parse_selection(), period)).total.sums.tally.runs == 3
    await insert(runs, "a", -7100)
    clock.move(CLOSED_CACHED_SECONDS)
    assert (await stats.read_selection(parse_selection(), period)).total.sums.tally.runs == 4


async def test_a_failed_reading_is_not_cached() -> None:
    store = MemoryStore()
    runs, clock = Runs(store), VirtualClock(at(60))
    stats = reader(runs, clock, "a", "b")
    store.breaks_after = 0
    with pytest.raises(StoreUnavailable):
        await stats.read_selection(parse_selection(), Period(NOON - HOUR, NOON + HOUR))
    store.breaks_after = None
    assert (await stats.read_selection(parse_selection(), Period(NOON - HOUR, NOON + HOUR))).jobs == 2


async def test_a_period_before_the_rollups_is_not_complete() -> None:
    runs, clock = Runs(MemoryStore()), VirtualClock(NOON)
    await runs.prune(NOON, 30 * DAY, 100)
    stats = reader(runs, clock, "a")
    assert (await stats.read_job("a", Period(NOON - timedelta(days=399), NOON))).is_complete
    assert not (await stats.read_job("a", Period(NOON - timedelta(days=402), NOON))).is_complete


class SlowStore(MemoryStore):
    """Counts the reads of pages that are in-flight."""

    reading = 0
    most = 0

    async def list_rows(self, *arguments: Any, **more: Any) -> Sequence[Row]:
        self.reading += 1
        self.most = max(self.most, self.reading)
        await asyncio.sleep(0)
        try:
            return await super().list_rows(*arguments, **more)
        finally:
            self.reading -= 1


async def fleet(number: int, store: MemoryStore, clock: VirtualClock) -> StatsReader:
    """Return the statistics of so many jobs of four teams, on a store that was used before."""
    names = [f"job-{each}" for each in range(number)]
    runs = Runs(store)
    await runs.prune(clock.now(), 30 * DAY, 100)
    tags = {name.replace("-", "_"): {"team": f"team-{each % 4}"} for each, name in enumerate(names)}
    return reader(runs, clock, *names, **tags)


async def test_large_selections_share_a_bound_of_reads() -> None:
    store = SlowStore()
    stats = await fleet(4 * JOBS_AT_ONCE, store, VirtualClock(NOON))
    store.most = 0
    periods = [Period.covering(at(-3600 * hours), NOON) for hours in range(2, 12)]
    selection = parse_selection(tags=["team"])
    found = await asyncio.gather(*(stats.read_selection(selection, period, group_by="team") for period in periods))
    assert [[jobs for _, jobs, _ in one.groups] for one in found] == [[JOBS_AT_ONCE] * 4] * 10
    assert store.most == SCANS_AT_ONCE


@pytest.mark.parametrize("seed", range(3))
async def test_the_statistics_of_many_jobs_equal_those_of_each_job(seed: int) -> None:
    random, store, clock = Random(seed), MemoryStore(), VirtualClock(at(10 * DAY))
    names = [f"job-{number}" for number in range(3 * JOBS_AT_ONCE)]
    stats = await fleet(len(names), store, clock)
    runs = Runs(store)
    for number in range(300):
        outcome = random.choices([*Outcome], [8, 2, 1, 1, 1, 1])[0]
        await insert(
            runs, random.choice(names[::3]), random.randrange(10 * DAY) + number / 1000, outcome, random.uniform(1, 500)
        )
    await runs.prune(at(8 * DAY), 30 * DAY, 1000)
    period = Period.covering(at(random.randrange(0, 4 * DAY)), at(random.randrange(5 * DAY, 10 * DAY)))
    zone = ZoneInfo("Europe/Berlin")
    each = {name: await stats.read_job(name, period, zone) for name in names}
    by_team = await stats.read_selection(parse_selection(tags=["team"]), period, zone, "team")
    for value, _, found in by_team.groups:
        of_team = [each[name] for number, name in enumerate(names) if f"team-{number % 4}" == value]
        assert shown(found) == shown(merged(of_team))
    assert shown(by_team.total) == shown(merged([*each.values()]))
    assert shown((await stats.read_selection(parse_selection(), period, zone)).total) == shown(by_team.total)
    exported = {
        name: (sums.tally, sums.uptime, complete)
        async for some in stats.iterate_jobs(parse_selection(), period)
        for name, sums, complete in some
    }
    assert exported == {name: (one.sums.tally, one.sums.uptime, one.is_complete) for name, one in each.items()}
    durations = await stats.read_durations(names, period)
    assert durations == {name: one.sums.tally.duration for name, one in each.items() if one.sums.tally.duration.packed}


def merged(parts: Sequence[Stats]) -> Stats:
    sums, before = StatsSums(), StatsSums()
    for one in parts:
        sums.merge(one.sums)
        if one.before is not None:
            before.merge(one.before)
    return Stats(parts[0].period, sums, before, all(one.is_complete for one in parts))


def shown(stats: Stats) -> Any:
    """The order in which parts are added changes the last digits of a sum of milliseconds."""
    return view_stats(stats), round(stats.sums.uptime.total_ms, 6), stats.sums.by_hour


@pytest.mark.parametrize("group_by", [None, "team"])
async def test_statistics_of_more_jobs_are_not_more_reads(group_by: str | None) -> None:
    reads = []
    for number in (40, 800):
        store = MemoryStore()
        stats = await fleet(number, store, VirtualClock(NOON))
        before = store.reads
        found = await stats.read_selection(parse_selection(), Period.covering(at(-DAY), NOON), group_by=group_by)
        assert found.jobs == number
        reads.append(store.reads - before)
    assert reads[0] == reads[1] <= 60


async def test_an_export_of_more_jobs_is_not_more_reads() -> None:
    reads = []
    for number in (40, 800):
        store = MemoryStore()
        stats = await fleet(number, store, VirtualClock(NOON))
        before = store.reads
        period = Period.covering(at(-DAY), NOON)
        assert sum([len(some) async for some in stats.iterate_jobs(parse_selection(), period)]) == number
        reads.append(store.reads - before)
    assert reads[0] == reads[1] <= 20


async def test_an_export_evicts_no_cached_sums() -> None:
    store, clock = MemoryStore(), VirtualClock(NOON)
    stats = await fleet(MAX_CACHED_SUMS + 1, store, clock)
    period = Period.covering(at(-DAY), at(-3600))
    await stats.read_selection(parse_selection(), period)
    async for _ in stats.iterate_jobs(parse_selection(), period):
        pass
    before = store.reads
    await stats.read_selection(parse_selection(), period)
    assert store.reads == before


async def test_other_tasks_run_while_the_rollups_of_a_page_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_STEP", 0.0)
    store, clock = MemoryStore(), VirtualClock(at(60))
    stats = await fleet(2 * JOBS_AT_ONCE, store, clock)
    for number in range(2 * JOBS_AT_ONCE):
        await insert(Runs(store), f"job-{number}", 0)
    async with counted_turns() as counted:
        found = await stats.read_selection(parse_selection(), Period(NOON, NOON + HOUR))
    assert found.total.sums.tally.runs == 2 * JOBS_AT_ONCE
    assert counted.number > 2 * JOBS_AT_ONCE
