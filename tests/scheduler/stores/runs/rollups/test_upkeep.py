"""Complete days, expiry, and what older versions have left, on every store and wherever a process ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.runs import Outcome, Trigger
from jobs.runs.histogram import unpack
from jobs.runs.uptime import Uptime
from scheduler.stores.port import Replace, Store, StoreUnavailable, Upsert
from scheduler.stores.rows import PREFIX_END, decode_json, encode_json
from scheduler.stores.runs.codec import COUNTED
from scheduler.stores.runs.keys import HISTORY_TABLE, RUN_PREFIX, job_prefix, shard_of_job
from scheduler.stores.runs.open_runs import list_history_between
from scheduler.stores.runs.repository import Claim, RowNames, Runs
from scheduler.stores.runs.rollups.days import encode_hours
from scheduler.stores.runs.rollups.hours import HourCounts
from scheduler.stores.runs.rollups.keys import DAY_HOURS_PREFIX, DAY_PREFIX, HOUR_PREFIX
from scheduler.stores.runs.rollups.upkeep import ROLLUP_AGE
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryData, MemoryStore
from tests.scheduler.stores.samples import LEASE, NOON, at, rollup_of, run_of, ticket

HOUR, DAY = 3600, 86400
AGE = 30 * DAY


async def finish(runs: Runs, job: str, seconds: Sequence[float], outcome: Outcome = Outcome.SUCCEEDED) -> None:
    for second in seconds:
        one = ticket(job, second)
        claim = await runs.claim(one, "one", NOON + 10_000 * LEASE, NOON)
        assert isinstance(claim, Claim)
        await runs.finish(claim, replace(run_of(one), outcome=outcome, started_at=one.due_at))


async def rows(store: Store, prefix: str, job: str = "a") -> int:
    first = f"{prefix}{job}~"
    return len(await list_history_between(store, shard_of_job(job), first, first + PREFIX_END))


async def forget_counts(store: Store, job: str) -> None:
    """Leave what an older version leaves: runs that are not counted."""
    shard, first = shard_of_job(job), job_prefix(RUN_PREFIX, job)
    for row in await list_history_between(store, shard, first, first + PREFIX_END):
        body = {key: value for key, value in decode_json(row.body).items() if key != COUNTED}
        await store.apply(Replace(HISTORY_TABLE, shard, row.key, encode_json(body), row.etag))
    for row in await list_history_between(store, shard, f"{HOUR_PREFIX}{job}~", f"{HOUR_PREFIX}{job}~{PREFIX_END}"):
        await store.apply(Upsert(HISTORY_TABLE, shard, row.key, HourCounts().encode()))


async def test_the_hours_of_a_day_that_is_over_become_two_rows_with_the_same_sums(store: Store) -> None:
    runs = Runs(store)
    await finish(runs, "a", range(0, 10 * HOUR, 1800))
    await finish(runs, "a", [11 * HOUR, 11 * HOUR + 60], Outcome.FAILED)
    await finish(runs, "a", [DAY])
    before = await rollup_of(runs, "a")
    hours = await runs.list_rollups("a", NOON, NOON + timedelta(hours=6))

    await runs.prune(at(DAY + 3600), AGE, 100)

    assert (await rows(store, HOUR_PREFIX), await rows(store, DAY_PREFIX), await rows(store, DAY_HOURS_PREFIX)) == (
        1,
        1,
        1,
    )
    after = await rollup_of(runs, "a")
    assert (after.tally, after.segment) == (before.tally, before.segment)
    assert unpack(after.by_hour) == [24, *[2, 0] * 10, 0, 0, 2, 2]
    assert await runs.list_rollups("a", NOON, NOON + timedelta(hours=6)) == hours


async def test_a_run_of_a_day_that_is_summed_up_is_added_to_it_the_next_day(store: Store) -> None:
    runs = Runs(store)
    await finish(runs, "a", [0, 60])
    await runs.prune(at(DAY), AGE, 100)
    await finish(runs, "a", [120, 7200])
    assert (await rollup_of(runs, "a")).tally.runs == 4
    await runs.prune(at(2 * DAY), AGE, 100)
    assert (await rows(store, HOUR_PREFIX), await rows(store, DAY_PREFIX)) == (0, 1)
    assert (await rollup_of(runs, "a")).tally.runs == 4
    (part,) = await runs.list_rollups("a", NOON, NOON + timedelta(hours=1))
    assert part.rollup.tally.runs == 3


async def test_days_older_than_their_age_are_deleted_of_every_job(store: Store) -> None:
    runs = Runs(store)
    for job in ("a", "a-b", "b"):
        await finish(runs, job, [day * DAY for day in range(60)])
    await runs.prune(at(60 * DAY), 10 * DAY, 100, 20 * DAY)
    for job in ("a", "a-b", "b"):
        assert (await rows(store, DAY_PREFIX, job), await rows(store, DAY_HOURS_PREFIX, job)) == (20, 20)
        assert (await rollup_of(runs, job)).tally.runs == 20


async def test_two_processes_that_sum_up_at_the_same_time_count_each_run_once(open_store: OpenStore) -> None:
    one, two = [Runs(await open_store(), names=RowNames(counts_as=name)) for name in ("x", "y")]
    await finish(one, "a", range(0, 8 * HOUR, 1200))
    await finish(two, "a", range(600, 8 * HOUR, 1200))
    await asyncio.gather(one.prune(at(2 * DAY), AGE, 100), two.prune(at(2 * DAY), AGE, 100))
    await one.prune(at(3 * DAY), AGE, 100)
    assert (await rollup_of(one, "a")).tally.runs == 48


@pytest.mark.parametrize("steps", range(12))
async def test_a_crash_between_two_steps_loses_no_count_and_doubles_none(steps: int) -> None:
    data = MemoryData()
    for name in ("x", "y", "z"):
        runs = Runs(MemoryStore(data), names=RowNames(counts_as=name))
        await finish(runs, "a", [hour * HOUR + ord(name) for hour in range(40)])
    with suppress(StoreUnavailable):
        await Runs(MemoryStore(data, breaks_after=steps)).prune(at(4 * DAY), AGE, 10)
    assert (await rollup_of(runs, "a")).tally.runs == 120
    await Runs(MemoryStore(data)).prune(at(4 * DAY), AGE, 10)
    assert (await rollup_of(runs, "a")).tally.runs == 120
    assert await rows(MemoryStore(data), HOUR_PREFIX) == 0


async def test_the_runs_of_an_older_version_count_before_and_after_they_are_counted(store: Store) -> None:
    runs = Runs(store)
    await finish(runs, "a", range(0, 3 * HOUR, 600))
    await finish(runs, "a", [3 * HOUR, 3 * HOUR + 60], Outcome.TIMED_OUT)
    before = await rollup_of(runs, "a")
    await forget_counts(store, "a")
    assert (await rollup_of(Runs(store), "a")).segment == before.segment
    await finish(runs, "a", [3 * HOUR + 120])  # the next version counts, next to the runs that are not counted

    for _ in range(2):
        later = Runs(store)
        await later.prune(at(4 * HOUR), AGE, 100)
        found = await rollup_of(later, "a")
        assert found.tally.outcomes == [19, 0, 2, 0, 0, 0]
        assert found.segment is not None
        assert (found.segment.seconds, found.segment.outages) == (120.0, 1)
    assert await later.find_rollups_complete_since("a", NOON) == at(4 * HOUR - AGE)
    assert await later.find_rollups_complete_since("other", NOON) in (None, at(4 * HOUR - AGE))


@pytest.mark.parametrize("steps", range(14))
async def test_counting_what_an_older_version_left_can_end_anywhere(steps: int) -> None:
    data = MemoryData()
    runs = Runs(MemoryStore(data))
    await finish(runs, "a", range(0, 5 * HOUR, 600))
    await forget_counts(MemoryStore(data), "a")
    with suppress(StoreUnavailable):
        await Runs(MemoryStore(data, breaks_after=steps)).prune(at(5 * HOUR), AGE, 10)
    assert (await rollup_of(Runs(MemoryStore(data)), "a")).tally.runs == 30
    await Runs(MemoryStore(data)).prune(at(5 * HOUR), AGE, 10)
    assert (await rollup_of(Runs(MemoryStore(data)), "a")).tally.runs == 30


async def test_the_hours_of_runs_that_an_older_version_deleted_become_days(store: Store) -> None:
    body = [at(60).isoformat(), at(600).isoformat(), True, False, 540.0, 1, 8, 2, 8, 256.0]
    await store.apply(Upsert(HISTORY_TABLE, shard_of_job("a"), "h~a~2026112512", json.dumps(body)))
    runs = Runs(store)
    for _ in range(2):
        found = await rollup_of(runs, "a")
        assert found.segment is not None
        assert (found.segment.seconds, found.segment.uptime) == (540.0, Uptime(8, 2, 8, 256.0))
        assert found.tally.outcomes == [8, 2, 0, 0, 0, 0]
        await runs.prune(at(HOUR), AGE, 100)
    assert await rows(store, "h~") == 0


async def test_a_new_store_is_complete_from_the_beginning(store: Store) -> None:
    runs = Runs(store)
    await finish(runs, "a", [0])
    assert await runs.find_rollups_complete_since("a", NOON) == NOON
    await runs.prune(at(1), AGE, 100)
    assert await runs.find_rollups_complete_since("a", NOON) is None


async def test_backfills_have_an_outcome_and_no_uptime(store: Store) -> None:
    runs = Runs(store)
    made = replace(ticket("a"), trigger=Trigger.BACKFILL)
    claim = await runs.claim(made, "one", NOON + LEASE, NOON)
    assert isinstance(claim, Claim)
    await runs.finish(claim, replace(run_of(made), trigger=Trigger.BACKFILL))
    found = await rollup_of(runs, "a")
    assert (found.tally.runs, found.tally.lateness.total, found.segment) == (1, 0, None)


async def test_nothing_is_read_again_until_the_next_day() -> None:
    store = MemoryStore()
    runs = Runs(store)
    await finish(runs, "a", range(0, DAY, HOUR))
    await runs.prune(at(DAY), AGE, 100, ROLLUP_AGE)
    store.reads = 0
    await runs._upkeep.update_days(at(DAY + HOUR), ROLLUP_AGE)
    assert store.reads == 0


async def test_a_day_of_an_older_version_is_read_and_gets_further_runs(store: Store) -> None:
    runs = Runs(store)
    histogram, first = {"97": 2}, 1795564800000000
    body = [[2, 0, 0, 0, 0, 0], 2, 0, 0, histogram, histogram, histogram]
    segment = [first, first, 0, 0, 2, 0, 2, 60.0, 0, 0]
    day = encode_json([*body, segment, {"12": [2, 0]}])
    hours = encode_hours({"12": [*body, segment, {}]})
    for prefix, text in ((DAY_PREFIX, day), (DAY_HOURS_PREFIX, hours)):
        await store.apply(Upsert(HISTORY_TABLE, shard_of_job("a"), f"{prefix}a~20261125", text))
    before = await rollup_of(runs, "a")
    assert (before.tally.duration.counts, unpack(before.by_hour)) == (histogram, [24, 2])

    await finish(runs, "a", [60], Outcome.FAILED)
    await runs.prune(at(DAY), AGE, 100)

    after = await rollup_of(runs, "a")
    assert (after.tally.outcomes[:2], unpack(after.by_hour), after.tally.lateness.total) == ([2, 1], [24, 3, 1], 3)
    (hour,) = await runs.list_rollups("a", NOON, NOON + timedelta(hours=6))
    assert hour.rollup.tally == after.tally


async def test_the_lag_of_rollups_grows_until_a_complete_day_is_summed_up() -> None:
    runs = Runs(MemoryStore())
    assert await runs.find_rollup_lag(NOON) == timedelta()
    await runs.prune(NOON, AGE, 1000, ROLLUP_AGE)
    midnight = NOON.replace(hour=0) + timedelta(days=1)
    lags = [await runs.find_rollup_lag(midnight + timedelta(hours=hours)) for hours in (1, 2, 5, 29)]
    assert lags == [timedelta(hours=hours) for hours in (0, 0, 3, 27)]
    await runs.prune(midnight + timedelta(hours=29), AGE, 1000, ROLLUP_AGE)
    assert await runs.find_rollup_lag(midnight + timedelta(hours=29)) == timedelta(hours=0)
