"""Rollups of many jobs that are read together are those that each job has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from jobs.runs import Outcome
from scheduler.stores.port import Store
from scheduler.stores.runs.keys import shard_of_job
from scheduler.stores.runs.repository import RowNames, Runs
from scheduler.stores.runs.rollups import reading
from scheduler.stores.runs.rollups.reading import RollupPart
from tests.scheduler.stores.memory import MemoryStore
from tests.scheduler.stores.samples import NOON, at, run_of, ticket

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
JOBS = ["a", "a-b", "a.b", "ab", "b", *(f"job-{number}" for number in range(25))]
"""The order of some names is not the order of the keys of their rows."""


async def fill(store: Store, random: Random, runs: int) -> None:
    """Insert runs of two processes, and sum up the days of most of them."""
    processes = [Runs(store, names=RowNames(counts_as=name)) for name in ("one", "two")]
    for number in range(runs):
        one = ticket(random.choice(JOBS[::2]), random.randrange(0, 5 * 86400) + number / 1000)
        outcome = random.choice([Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SKIPPED])
        await random.choice(processes).insert_finished(one, replace(run_of(one), outcome=outcome))
        if number == runs * 3 // 4:
            await processes[0].prune(NOON + 4 * DAY, 30 * 86400.0, 1000)


async def read_together(runs: Runs, jobs: Sequence[str], since: datetime, until: datetime) -> dict[str, Any]:
    shards, found = defaultdict[str, list[str]](list), defaultdict[str, list[RollupPart]](list)
    for job in jobs:
        shards[shard_of_job(job)].append(job)
    for some in shards.values():
        async for parts in runs.iterate_rollups(some, since, until):
            for job, part in parts:
                found[job].append(part)
    return {job: shown(found[job]) for job in jobs}


def shown(parts: Iterable[RollupPart]) -> Any:
    return sorted((part.start, part.span, part.rollup.encode()) for part in parts)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("page", [3, 200])
async def test_many_jobs_have_the_parts_that_each_one_has(
    seed: int, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ROWS_PER_PAGE", page)
    random, store = Random(seed), MemoryStore()
    await fill(store, random, 150)
    runs = Runs(store)
    await runs.prune(NOON, 30 * 86400.0, 1000)
    for _ in range(20):
        since = NOON.replace(hour=0) + random.randrange(-30, 120) * HOUR
        until = since + random.choice([1, 5, 24, 25, 60, 24 * 7]) * HOUR
        jobs = random.sample(JOBS, random.randrange(1, len(JOBS)))
        one_by_one = {job: shown(await runs.list_rollups(job, since, until)) for job in jobs}
        assert await read_together(runs, jobs, since, until) == one_by_one


async def test_every_store_reads_the_parts_of_many_jobs(store: Store) -> None:
    await fill(store, Random(1), 40)
    runs = Runs(store)
    await runs.prune(NOON, 30 * 86400.0, 1000)
    since, until = NOON - HOUR, NOON + 6 * DAY
    one_by_one = {job: shown(await runs.list_rollups(job, since, until)) for job in JOBS}
    assert sum(map(len, one_by_one.values())) > 10
    assert await read_together(runs, JOBS, since, until) == one_by_one


async def test_runs_of_older_versions_that_are_not_counted_yet_are_counted() -> None:
    runs = Runs(MemoryStore())
    one = ticket("a", 60)
    await runs.insert_finished(one, run_of(one))
    found = await read_together(runs, JOBS, NOON, at(3600))
    assert found["a"] == shown(await runs.list_rollups("a", NOON, at(3600)))
    assert len(found["a"]) == 1
