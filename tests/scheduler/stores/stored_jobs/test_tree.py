"""Stored jobs change as a whole or not at all, whatever ends a process, and no change is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.stores.port import Row, StoreUnavailable
from scheduler.stores.stored_jobs.repository import (
    MAX_VERSIONS,
    UNUSED_VERSION_AGE,
    HeadMoved,
    StoredJobs,
    StoredJobSweeper,
)
from scheduler.stores.stored_jobs.tree import MAX_INLINE_BYTES, JobTree, JobWrite, bucket_of
from tests.scheduler.fakes import START
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryData, MemoryStore


def definitions(tree: JobTree) -> dict[str, str]:
    return {entry.name: entry.text for entry in tree.jobs()}


def write(name: str, text: str = "a", owner: str = "") -> JobWrite:
    return JobWrite(name, {"check": text}, owner)


async def change(jobs: StoredJobs, *writes: JobWrite, seconds: float = 0.0) -> JobTree:
    return await jobs.commit(await jobs.read(), writes, START + timedelta(seconds=seconds), "local:test")


@asynccontextmanager
async def unrecorded() -> AsyncIterator[None]:
    yield


async def test_every_process_reads_what_one_has_written(open_store: OpenStore) -> None:
    ours, other = StoredJobs(await open_store()), StoredJobs(await open_store())
    assert definitions(await other.read()) == {}

    tree = await change(ours, *(write(f"job-{number}", f"text {number}") for number in range(150)))
    tree = await change(ours, write("job-7", "changed", "shop"), JobWrite("job-8", None))

    read = await other.read()
    assert definitions(read) == definitions(tree)
    assert len(definitions(read)) == 149
    assert read.find_job("job-8") is None
    entry = read.find("job-7")
    assert entry is not None
    assert (entry.number, entry.owner, entry.text) == (2, "shop", '{"check":"changed"}')


async def test_a_job_that_is_created_again_continues_its_numbers(open_store: OpenStore) -> None:
    jobs = StoredJobs(await open_store())
    await change(jobs, write("a", "one"))
    await change(jobs, JobWrite("a", None))
    tree = await change(jobs, write("a", "three"))

    entry = tree.find("a")
    assert entry is not None
    versions = await jobs.list_versions(entry)
    assert [(one.number, one.definition) for one in versions] == [
        (3, {"check": "three"}),
        (2, None),
        (1, {"check": "one"}),
    ]
    assert versions[0].at == START
    assert versions[0].by == "local:test"


async def test_long_definitions_are_read_from_their_versions(open_store: OpenStore) -> None:
    jobs, other = StoredJobs(await open_store()), StoredJobs(await open_store())
    long = "x" * (MAX_INLINE_BYTES // 2)
    names = [name for name in (f"n{number}" for number in range(2000)) if bucket_of(name) == "05"][:4]

    tree = await change(jobs, *(write(name, long + name) for name in names))

    assert definitions(await other.read()) == definitions(tree)
    assert definitions(await other.read(tree)) == definitions(tree)


async def test_an_unchanged_tree_costs_one_read() -> None:
    data = MemoryData()
    await change(StoredJobs(MemoryStore(data)), *(write(f"job-{number}") for number in range(500)))
    store = MemoryStore(data)
    tree = await StoredJobs(store).read()
    store.reads = 0

    assert await StoredJobs(store).read(tree) is tree
    assert store.reads == 1


async def test_one_change_among_ten_thousand_jobs_writes_three_rows_and_is_read_in_two() -> None:
    data = MemoryData()
    await change(StoredJobs(MemoryStore(data)), *(write(f"job-{number}") for number in range(10_000)))
    store = MemoryStore(data)
    jobs = StoredJobs(store)
    tree = await jobs.read()
    store.reads = 0

    await jobs.commit(tree, [write("job-77", "b")], START, "local:test")

    assert len(store.changes) == 3
    assert (await jobs.read(tree)).find_job("job-77") is not None
    assert store.reads == 2


async def test_a_change_over_an_old_tree_is_refused(open_store: OpenStore) -> None:
    ours, other = StoredJobs(await open_store()), StoredJobs(await open_store())
    tree, before = await change(ours, write("a", "one")), await other.read()
    await change(other, write("b", "two"))

    with pytest.raises(HeadMoved):
        await ours.commit(tree, [write("a", "three")], START, "local:test")
    with pytest.raises(HeadMoved):
        await ours.commit(JobTree(), [write("a", "first")], START, "local:test")
    assert definitions(await ours.read(before)) == {"a": '{"check":"one"}', "b": '{"check":"two"}'}


async def test_concurrent_changes_are_all_made(open_store: OpenStore) -> None:
    processes = [StoredJobs(await open_store()) for _ in range(8)]

    async def add(number: int, jobs: StoredJobs) -> None:
        tree = await jobs.read()
        while True:
            try:
                await jobs.commit(tree, [write(f"job-{number}")], START, "local:test")
                return
            except HeadMoved:
                tree = await jobs.read(tree)

    await asyncio.gather(*(add(number, jobs) for number, jobs in enumerate(processes)))

    assert len(definitions(await processes[0].read())) == 8


async def test_a_change_is_recorded_once_however_many_processes_compete(open_store: OpenStore) -> None:
    processes = [StoredJobs(await open_store()) for _ in range(6)]
    recorded: list[str] = []

    async def add(name: str, jobs: StoredJobs) -> None:
        @asynccontextmanager
        async def record() -> AsyncIterator[None]:
            recorded.append(name)
            yield

        while True:
            tree = await jobs.read()
            if not tree.head.claim:
                with suppress(HeadMoved):
                    await jobs.commit(tree, [write(name)], START, "local:test", record)
                    return
            await asyncio.sleep(0.01)

    await asyncio.gather(*(add(f"job-{number}", jobs) for number, jobs in enumerate(processes)))

    assert sorted(recorded) == sorted(definitions(await processes[0].read()))


async def test_a_change_that_cannot_be_recorded_leaves_neither_a_version_nor_a_claim(open_store: OpenStore) -> None:
    jobs = StoredJobs(await open_store())
    tree = await change(jobs, write("a", "one"))

    @asynccontextmanager
    async def refuse() -> AsyncIterator[None]:
        raise StoreUnavailable("the store does not answer")
        yield

    with pytest.raises(StoreUnavailable):
        await jobs.commit(tree, [write("a", "two")], START, "local:test", refuse)

    read = await jobs.read()
    assert (definitions(read), read.head.claim) == ({"a": '{"check":"one"}'}, "")


async def test_a_change_that_loses_its_claim_is_not_made() -> None:
    jobs = StoredJobs(MemoryStore(MemoryData()))
    tree = await change(jobs, write("a", "one"))

    @asynccontextmanager
    async def stall() -> AsyncIterator[None]:
        await jobs.commit(await jobs.read(), [write("b")], START, "local:test")
        yield

    with pytest.raises(StoreUnavailable, match="took too long"):
        await jobs.commit(tree, [write("a", "two")], START, "local:test", stall)

    assert definitions(await jobs.read()) == {"a": '{"check":"one"}', "b": '{"check":"a"}'}


async def test_a_sweep_waits_for_a_change_in_progress_and_ends_an_abandoned_one() -> None:
    data = MemoryData()
    jobs = StoredJobs(MemoryStore(data))
    await change(jobs, write("a", "one"))
    tree = await change(jobs, write("a", "two"))
    await jobs.replace_head(tree.head, replace(tree.head, claim="of a process that ends"))
    sweeper = StoredJobSweeper(MemoryStore(data), jobs)

    assert await sweeper.sweep(START + timedelta(hours=2)) == 0
    assert await sweeper.sweep(START + timedelta(hours=3)) == 1
    assert (await jobs.read()).head.claim == ""


WRITES = st.lists(
    st.dictionaries(
        st.sampled_from([f"job-{number}" for number in range(12)]), st.none() | st.text("ab", max_size=2), min_size=1
    ),
    max_size=5,
)


def as_writes(changes: Mapping[str, str | None]) -> Sequence[JobWrite]:
    return [JobWrite(name, None if text is None else {"check": text}) for name, text in changes.items()]


@given(before=WRITES, last=WRITES.filter(bool), dies_after=st.integers(0, 40))
def test_a_process_that_ends_between_any_two_steps_leaves_the_old_tree_or_the_new_one(
    before: Sequence[Mapping[str, str | None]], last: Sequence[Mapping[str, str | None]], dies_after: int
) -> None:
    async def run() -> None:
        data = MemoryData()
        expected: dict[str, str | None] = {}
        for changes in before:
            await change(StoredJobs(MemoryStore(data)), *as_writes(changes))
            expected |= changes
        store = MemoryStore(data, breaks_after=dies_after)
        dying = StoredJobs(store)
        accepted = [dict(expected)]
        try:
            for changes in last:
                accepted.append(accepted[-1] | changes)
                await dying.commit(await dying.read(), as_writes(changes), START, "local:test", unrecorded)
                accepted = accepted[-1:]
        except StoreUnavailable:
            pass

        found = definitions(await StoredJobs(MemoryStore(data)).read())
        assert found in [
            {name: f'{{"check":"{text}"}}' for name, text in state.items() if text is not None} for state in accepted
        ]

    asyncio.run(run())


@given(before=WRITES.filter(bool), killed=WRITES, dies_after=st.integers(0, 30), more=WRITES)
def test_a_sweep_removes_what_is_unused_and_nothing_else(
    before: Sequence[Mapping[str, str | None]],
    killed: Sequence[Mapping[str, str | None]],
    dies_after: int,
    more: Sequence[Mapping[str, str | None]],
) -> None:
    async def run() -> None:
        data = MemoryData()
        for changes in before:
            await change(StoredJobs(MemoryStore(data)), *as_writes(changes))
        try:
            dying = StoredJobs(MemoryStore(data, breaks_after=dies_after))
            for changes in killed:
                await change(dying, *as_writes(changes))
        except StoreUnavailable:
            pass
        jobs = StoredJobs(MemoryStore(data))
        for changes in more:
            await change(jobs, *as_writes(changes))
        tree = await jobs.read()
        versions = {entry.name: await jobs.list_versions(entry) for entry in entries(tree)}

        sweeper = StoredJobSweeper(MemoryStore(data), jobs)
        await sweeper.sweep(START + UNUSED_VERSION_AGE + timedelta(seconds=1))

        assert definitions(await StoredJobs(MemoryStore(data)).read()) == definitions(tree)
        assert {entry.name: await jobs.list_versions(entry) for entry in entries(tree)} == versions
        used = 1 + len(tree.head.buckets) + sum(map(len, versions.values()))
        assert len(data.rows) == used

    asyncio.run(run())


def entries(tree: JobTree) -> list[Any]:
    return [entry for bucket in tree.buckets.values() for entry in bucket.values()]


async def test_a_sweep_leaves_what_a_running_change_may_still_name() -> None:
    data = MemoryData()
    jobs = StoredJobs(MemoryStore(data))
    await change(jobs, write("a", "one"))
    await change(jobs, write("a", "two"))
    rows = len(data.rows)

    sweeper = StoredJobSweeper(MemoryStore(data), jobs)
    assert await sweeper.sweep(START + timedelta(minutes=5)) == 0
    assert len(data.rows) == rows
    assert await sweeper.sweep(START + timedelta(minutes=16)) == 1
    assert definitions(await jobs.read()) == {"a": '{"check":"two"}'}


async def test_a_change_that_a_sweep_overtakes_is_refused() -> None:
    data = MemoryData()
    jobs = StoredJobs(MemoryStore(data))
    tree = await change(jobs, write("a", "one"))
    tree = await jobs.commit(tree, [write("a", "two")], START, "local:test")
    await StoredJobSweeper(MemoryStore(data), jobs).sweep(START + timedelta(hours=2))

    with pytest.raises(HeadMoved):
        await jobs.commit(tree, [write("a", "three")], START, "local:test")


async def test_old_versions_are_removed() -> None:
    data = MemoryData()
    jobs = StoredJobs(MemoryStore(data))
    for number in range(MAX_VERSIONS + 30):
        tree = await change(jobs, write("a", f"{number}"))
    await StoredJobSweeper(MemoryStore(data), jobs).sweep(START + timedelta(hours=2))

    entry = tree.find("a")
    assert entry is not None
    versions = await jobs.list_versions(entry)
    assert [one.number for one in versions] == list(range(MAX_VERSIONS + 30, 30, -1))
    assert len(data.rows) == MAX_VERSIONS + 2


async def test_a_reader_whose_rows_are_removed_meanwhile_reads_the_new_head() -> None:
    data = MemoryData()
    jobs = StoredJobs(MemoryStore(data))
    await change(jobs, write("a", "one"))

    class Overtaken(MemoryStore):
        async def get_row(self, table: str, partition: str, key: str) -> Row | None:
            row = await super().get_row(table, partition, key)
            if key == "head" and self.reads == 1:
                await change(jobs, write("a", "two"))
                await StoredJobSweeper(MemoryStore(data), jobs).sweep(START + timedelta(hours=2))
            return row

    assert definitions(await StoredJobs(Overtaken(data)).read()) == {"a": '{"check":"two"}'}
