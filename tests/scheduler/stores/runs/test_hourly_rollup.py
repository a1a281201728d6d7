"""What runs have said that were deleted because there are newer ones, on every store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from jobs.runs import Outcome, Trigger
from jobs.runs.uptime import Uptime, UptimeSegment
from scheduler.stores.port import Store, StoreUnavailable
from scheduler.stores.runs.keys import HISTORY_TABLE, shard_of_job
from scheduler.stores.runs.repository import Claim, Runs
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryData, MemoryStore
from tests.scheduler.stores.samples import LEASE, NOON, at, run_of, ticket

DAY = 86400
AGE = 30 * DAY


async def finish(runs: Runs, job: str, seconds: Sequence[float], outcome: Outcome = Outcome.SUCCEEDED) -> None:
    for second in seconds:
        one = ticket(job, second)
        claim = await runs.claim(one, "one", NOON + LEASE, NOON)
        assert isinstance(claim, Claim)
        await runs.finish(claim, replace(run_of(one), outcome=outcome, started_at=one.due_at))


async def test_backfills_are_not_summed_up(store: Store) -> None:
    runs = Runs(store)
    for second in (0, 60, 120):
        made = replace(ticket("a", second), trigger=Trigger.BACKFILL)
        claim = await runs.claim(made, "one", NOON + LEASE, NOON)
        assert isinstance(claim, Claim)
        await runs.finish(claim, replace(run_of(made), trigger=Trigger.BACKFILL))

    assert await runs.prune(NOON, AGE, 1) == 2
    assert await runs.list_hourly_rollups("a") == []


def total(hours: Sequence[UptimeSegment]) -> Uptime:
    return sum((hour.uptime for hour in hours), Uptime())


async def test_what_they_said_is_summed_up_by_the_hour(store: Store) -> None:
    runs = Runs(store)
    await finish(runs, "a", [0, 60], Outcome.FAILED)
    await finish(runs, "a", [120])
    await finish(runs, "a", [3600], Outcome.SKIPPED)
    await finish(runs, "a", [7200, 7260, 7320])
    assert await runs.list_hourly_rollups("a") == []

    assert await runs.prune(NOON, AGE, 2) == 5

    first, second = await runs.list_hourly_rollups("a")
    assert (first.first, first.last, first.starts_down, first.ends_down) == (at(0), at(120), True, False)
    assert (first.seconds, first.outages, first.uptime.down, first.uptime.up) == (120.0, 1, 2, 1)
    assert (second.first, second.uptime.sample_count) == (at(7200), 1)
    looks, is_all = await runs.list_uptime_samples("a", 100)
    assert ([instant for instant, _ in looks], is_all) == ([at(7260), at(7320)], True)


async def test_an_hour_that_loses_runs_again_and_again_counts_each_of_them_once(store: Store) -> None:
    runs = Runs(store)
    for round_ in range(3):
        await finish(runs, "a", range(round_ * 60, round_ * 60 + 60))
        await runs.prune(NOON, AGE, 5)
    (hour,) = await runs.list_hourly_rollups("a")
    assert (hour.uptime.up, hour.first, hour.last) == (175, at(0), at(174))
    assert len((await runs.list_uptime_samples("a", 1000))[0]) == 5


async def test_two_processes_that_delete_at_the_same_time_count_each_run_once(open_store: OpenStore) -> None:
    one, two = Runs(await open_store()), Runs(await open_store())
    await finish(one, "a", range(0, 100, 2))
    await finish(two, "a", range(1, 100, 2))
    await asyncio.gather(one.prune(NOON, AGE, 10), two.prune(NOON, AGE, 10))
    kept, _ = await one.list_uptime_samples("a", 1000)
    assert total(await one.list_hourly_rollups("a")).up + len(kept) == 100


@pytest.mark.parametrize("steps", range(6))
async def test_a_crash_between_two_steps_loses_no_run_and_counts_none_twice(steps: int) -> None:
    data = MemoryData()
    runs = Runs(MemoryStore(data))
    await finish(runs, "a", range(0, 4 * 3600, 60))
    store = MemoryStore(data, breaks_after=steps)
    dying = Runs(store)
    for _ in range(300):
        dying._retention.count_finished("a")
    with pytest.raises(StoreUnavailable):
        await dying.prune(NOON, AGE, 10)
    kept, _ = await runs.list_uptime_samples("a", 1000)
    assert total(await runs.list_hourly_rollups("a")).up + len(kept) == 240
    await runs.prune(NOON, AGE, 10)
    assert (total(await runs.list_hourly_rollups("a")).up, len((await runs.list_uptime_samples("a", 1000))[0])) == (
        230,
        10,
    )


async def test_hours_that_are_older_than_runs_may_be_go_when_new_ones_come() -> None:
    store = MemoryStore()
    runs = Runs(store)
    await finish(runs, "a", range(0, 10 * 3600, 3600))
    await runs.prune(at(10 * 3600), AGE, 1)
    assert len(await runs.list_hourly_rollups("a")) == 9
    await finish(runs, "a", range(31 * DAY, 31 * DAY + 8 * 3600, 3600))
    await runs.prune(at(31 * DAY + 8 * 3600), AGE, 1)
    assert [hour.first >= at(DAY) for hour in await runs.list_hourly_rollups("a")] == [True] * 7


async def test_the_runs_of_other_jobs_and_what_is_listed_stay_as_they_are(store: Store) -> None:
    runs = Runs(store)
    other = next(f"b{number}" for number in range(99) if shard_of_job(f"b{number}") == shard_of_job("a"))
    await finish(runs, "a", [0, 1, 2])
    await finish(runs, other, [0, 1])
    await runs.prune(NOON, AGE, 2)
    assert await runs.list_hourly_rollups(other) == []
    assert len((await runs.list_page(job="a")).records) == 2
    assert len((await runs.list_page()).records) == 4
    assert len(await store.list_rows(HISTORY_TABLE, shard_of_job("a"), after="h~", until="h~~", limit=9)) == 1
