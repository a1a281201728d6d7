"""A deleted job is forgotten with its versions after its retention, and nothing else is, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.stores.port import Change, Etags, StoreError, StoreUnavailable
from scheduler.stores.stored_jobs import repository
from scheduler.stores.stored_jobs.repository import (
    DELETED_AGE,
    MAX_FORGOTTEN_BUCKETS,
    STORED_JOBS_TABLE,
    SWEEP_INTERVAL,
    StoredJobs,
    StoredJobSweeper,
    format_stamp,
)
from scheduler.stores.stored_jobs.tree import JobTree, JobWrite, StoredEntry, bucket_of, parse_version_key
from tests.scheduler.fakes import START
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryData, MemoryStore

DAY = timedelta(days=1)
RETENTION = timedelta(seconds=DELETED_AGE)
AFTERWARDS = START + RETENTION + DAY


async def change(jobs: StoredJobs, texts: Mapping[str, str | None], at: datetime = START) -> JobTree:
    """None deletes a job."""
    writes = [JobWrite(name, None if text is None else {"check": text}) for name, text in texts.items()]
    return await jobs.commit(await jobs.read(), writes, at, "local:test")


def entries(tree: JobTree) -> dict[str, StoredEntry]:
    return {name: entry for bucket in tree.buckets.values() for name, entry in bucket.items()}


async def numbers(jobs: StoredJobs, name: str) -> list[int]:
    """Of the versions, the latest first."""
    entry = (await jobs.read()).find(name)
    return [] if entry is None else [version.number for version in await jobs.list_versions(entry)]


def sweeper(data: MemoryData, breaks_after: int | None = None) -> StoredJobSweeper:
    store = MemoryStore(data, breaks_after=breaks_after)
    return StoredJobSweeper(store, StoredJobs(store))


def version_rows(data: MemoryData, name: str) -> list[str]:
    keys = [key for table, _, key in data.rows if table == STORED_JOBS_TABLE and key.startswith("v~")]
    return [key for key in keys if parse_version_key(key)[0] == name]


async def test_a_deleted_job_is_forgotten_after_its_retention_and_not_before(open_store: OpenStore) -> None:
    store = await open_store()
    jobs = StoredJobs(store)
    await change(jobs, {"old": "one", "stays": "one"})
    await change(jobs, {"old": None})

    await StoredJobSweeper(store, jobs).sweep(START + RETENTION)
    assert await numbers(jobs, "old") == [2, 1]
    await StoredJobSweeper(store, jobs).sweep(AFTERWARDS)

    assert set(entries(await jobs.read())) == {"stays"}
    rows = await store.list_rows(STORED_JOBS_TABLE, bucket_of("old"), after="v~old~", until="v~old~~", limit=10)
    assert rows == []
    await change(jobs, {"old": "new"}, AFTERWARDS)
    assert await numbers(jobs, "old") == [1]
    assert await numbers(jobs, "stays") == [1]


async def test_a_job_that_returns_within_the_retention_continues_its_numbers_and_is_not_forgotten() -> None:
    data = MemoryData()
    jobs = StoredJobs(MemoryStore(data))
    await change(jobs, {"a": "one"})
    await change(jobs, {"a": None})
    await sweeper(data).sweep(START + RETENTION - DAY)

    await change(jobs, {"a": "again"}, START + RETENTION - DAY)
    await sweeper(data).sweep(AFTERWARDS)

    assert await numbers(jobs, "a") == [3, 2, 1]


HISTORIES = st.lists(
    st.dictionaries(
        st.sampled_from([f"job-{number}" for number in range(8)]), st.none() | st.text("ab", max_size=2), min_size=1
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40)
@given(
    old=HISTORIES,
    recent=HISTORIES,
    dies_after=st.integers(0, 20),
    returns=st.dictionaries(
        st.sampled_from([f"job-{number}" for number in range(8)]), st.text("ab", max_size=2), max_size=3
    ),
)
def test_a_sweep_that_ends_between_any_two_writes_forgets_nothing_else_and_the_next_one_finishes(
    old: Sequence[Mapping[str, str | None]],
    recent: Sequence[Mapping[str, str | None]],
    dies_after: int,
    returns: Mapping[str, str],
) -> None:
    async def run() -> None:
        data = MemoryData()
        jobs = StoredJobs(MemoryStore(data))
        for at, history in ((START, old), (START + 2 * DAY, recent)):
            for texts in history:
                await change(jobs, texts, at)
        before = entries(await jobs.read())
        expired = {
            name for name, entry in before.items() if entry.is_deleted and entry.stamp < format_stamp(START + DAY)
        }

        with suppress(StoreUnavailable):
            await sweeper(data, dies_after).sweep(AFTERWARDS)
        between = entries(await jobs.read())
        assert {name: entry for name, entry in before.items() if name not in expired}.items() <= between.items()
        if returns:
            await change(jobs, returns, AFTERWARDS)
        for number in range(1, 3):
            await sweeper(data).sweep(AFTERWARDS + number * (SWEEP_INTERVAL + timedelta(hours=1)))

        tree = await jobs.read()
        found = entries(tree)
        assert found.keys() == (before.keys() - expired) | returns.keys()
        for name in returns:
            base = between[name].number if name in between else 0
            assert found[name].number == base + 1
        used = {version.row_key for entry in found.values() for version in await jobs.list_versions(entry)}
        assert {key for _, _, key in data.rows} == {"head", *tree.head.buckets.values(), *used}

    asyncio.run(run())


async def test_a_job_that_is_created_while_it_is_forgotten_keeps_its_versions() -> None:
    data = MemoryData()
    jobs = StoredJobs(MemoryStore(data))
    await change(jobs, {"a": "one"})
    await change(jobs, {"a": None})

    class Overtaken(MemoryStore):
        async def apply_each(self, groups: Sequence[Sequence[Change]]) -> Sequence[Etags | StoreError]:
            await change(jobs, {"a": "again"}, AFTERWARDS)
            return await super().apply_each(groups)

    store = Overtaken(data)
    await StoredJobSweeper(store, StoredJobs(store)).sweep(AFTERWARDS)
    await sweeper(data).sweep(AFTERWARDS + DAY)

    assert await numbers(jobs, "a") == [3, 2, 1]


async def test_no_job_is_forgotten_while_a_change_is_in_progress() -> None:
    data = MemoryData()
    jobs = StoredJobs(MemoryStore(data))
    await change(jobs, {"a": "one"})
    tree = await change(jobs, {"a": None})
    await jobs.replace_head(tree.head, replace(tree.head, claim="of a change in progress"))

    sweeps = sweeper(data)
    await sweeps.sweep(AFTERWARDS)
    assert await numbers(jobs, "a") == [2, 1]
    await sweeps.sweep(AFTERWARDS + DAY)
    assert await numbers(jobs, "a") == []


async def test_a_sweep_writes_some_buckets_and_removes_some_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "MAX_REMOVED", 30)
    data = MemoryData()
    jobs = StoredJobs(MemoryStore(data))
    names = [f"job-{number}" for number in range(60)]
    await change(jobs, dict.fromkeys(names, "one"))
    await change(jobs, dict.fromkeys(names))
    await sweeper(data).sweep(START + DAY)
    sweeps, left = sweeper(data), 60

    for number in range(12):
        removed = await sweeps.sweep(AFTERWARDS + number * DAY)
        known = entries(await jobs.read())
        assert removed <= 30
        assert len({bucket_of(name) for name in names if name not in known}) <= MAX_FORGOTTEN_BUCKETS * (number + 1)
        left = len(known)

    assert left == 0
    assert [row for name in names for row in version_rows(data, name)] == []
