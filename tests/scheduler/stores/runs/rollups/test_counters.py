"""Counters of runs: they contain every run once, whichever process finished it, and never decrease."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.runs import Outcome
from scheduler.stores.port import Delete, Store, StoreUnavailable
from scheduler.stores.runs.keys import HISTORY_TABLE, shard_of_job
from scheduler.stores.runs.open_runs import list_history_between
from scheduler.stores.runs.repository import RowNames, Runs
from scheduler.stores.runs.rollups.counters import RunCounters
from scheduler.stores.runs.rollups.keys import DAY_PREFIX, LATE_PREFIX, TOTAL_PREFIX
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryData, MemoryStore
from tests.scheduler.stores.samples import at, run_of, ticket

JOBS = ["a", "a-b", "b"]
DAY = 86400
AGE = 400 * DAY


async def finish(runs: Runs, job: str, due: float, now: float, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    """Store a run that was due at `due` and finished at `now`, in seconds after noon."""
    one = ticket(job, due)
    await runs.insert_finished(one, replace(run_of(one), outcome=outcome, started_at=at(now), finished_at=at(now)))


async def count(counters: RunCounters, now: float, jobs: Sequence[str] = JOBS) -> dict[str, int]:
    await counters.refresh(jobs, at(now))
    return {job: 0 if (found := counters.counts_of(job)) is None else found.runs for job in jobs}


async def test_runs_of_all_processes_are_counted(open_store: OpenStore) -> None:
    stores = [await open_store() for _ in range(2)]
    runs = [Runs(store, names=RowNames(counts_as=name)) for store, name in zip(stores, "xy", strict=True)]
    counters = [RunCounters(store) for store in stores]
    expected = 0
    for now in range(0, 3 * 3600, 2000):
        for number, each in enumerate(runs):
            await finish(each, "a", now + number, now + 2)
            expected += 1
        assert [(await count(each, now + 3))["a"] for each in counters] == [expected, expected]


async def test_a_day_that_is_summed_up_or_deleted_stays_counted(open_store: OpenStore) -> None:
    store = await open_store()
    runs, warm = Runs(store), RunCounters(store)
    for day in range(6):
        now = day * DAY
        await finish(runs, "a", now, now + 1)
        assert (await count(warm, now + 2))["a"] == day + 1
        await runs.prune(at(now + DAY - 7200), AGE, 100, 2 * DAY)
        assert (await count(warm, now + DAY - 7200))["a"] == day + 1
    days = await list_history_between(store, shard_of_job("a"), f"{DAY_PREFIX}a~", f"{DAY_PREFIX}a~~")
    assert len(days) < 5
    assert (await count(RunCounters(await open_store()), 6 * DAY))["a"] == 6


async def test_days_of_an_older_version_are_counted_before_and_after_their_deletion(store: Store) -> None:
    runs = Runs(store)
    for day in range(6):
        await finish(runs, "a", day * DAY, day * DAY + 1)
    await runs.prune(at(7 * DAY), AGE, 100)
    await store.apply(Delete(HISTORY_TABLE, shard_of_job("a"), f"{TOTAL_PREFIX}a"))
    assert (await count(RunCounters(store), 7 * DAY))["a"] == 6
    await runs.prune(at(8 * DAY), AGE, 100, 2 * DAY)
    assert (await count(RunCounters(store), 8 * DAY))["a"] == 6


async def test_a_late_run_leaves_a_mark_that_is_deleted_later(store: Store) -> None:
    runs, counters = Runs(store), RunCounters(store)
    await finish(runs, "a", 0, 1)
    await count(counters, 2)
    await finish(runs, "a", -3 * DAY, 10)
    await finish(runs, "a-b", -30, 31)
    assert await count(counters, 40) == {"a": 2, "a-b": 1, "b": 0}
    marks = await list_history_between(store, shard_of_job("a"), LATE_PREFIX, f"{LATE_PREFIX}~")
    assert "late~a~" in {row.key for row in marks}
    await runs.prune(at(3 * DAY), AGE, 100)
    assert await list_history_between(store, shard_of_job("a"), LATE_PREFIX, f"{LATE_PREFIX}~") == []


async def test_a_refresh_after_a_failed_one_misses_nothing() -> None:
    data = MemoryData()
    broken = MemoryStore(data)
    runs, counters = Runs(MemoryStore(data)), RunCounters(broken)
    await finish(runs, "a", 0, 1)
    assert (await count(counters, 2))["a"] == 1
    await finish(runs, "a", 10, 11)
    broken.breaks_after = 0
    with suppress(StoreUnavailable):
        await count(counters, 12)
    broken.breaks_after = None
    assert (await count(counters, 400))["a"] == 2


@pytest.mark.parametrize("steps", range(8))
async def test_a_crash_between_two_steps_changes_no_counter(steps: int) -> None:
    data = MemoryData()
    for name in "xy":
        runs = Runs(MemoryStore(data), names=RowNames(counts_as=name))
        for hour in range(0, 80, 3):
            await finish(runs, "a", hour * 3600 + ord(name), hour * 3600 + 200)
    before = (await count(RunCounters(MemoryStore(data)), 4 * DAY))["a"]
    with suppress(StoreUnavailable):
        await Runs(MemoryStore(data, breaks_after=steps)).prune(at(5 * DAY), AGE, 10, 2 * DAY)
    assert (await count(RunCounters(MemoryStore(data)), 5 * DAY))["a"] == before == 54


Action = tuple[str, int, int]
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["finish", "finish", "late", "prune", "wait", "read"]), st.integers(0, 1), st.integers(1, 5000)
    ),
    min_size=1,
    max_size=25,
)


@given(ACTIONS)
@settings(max_examples=25)
async def test_counters_of_two_instances_never_decrease_and_are_the_same(actions: list[Action]) -> None:
    data, now, due_before = MemoryData(), 0.0, set[float]()
    runs = [Runs(MemoryStore(data), names=RowNames(counts_as=name)) for name in "xy"]
    counters = [RunCounters(MemoryStore(data)) for _ in "xy"]
    for kind, process, number in actions:
        now += 0.5
        if kind in ("finish", "late"):
            due = now - number % 50 if kind == "finish" else now - number * 60 - 0.25
            if due not in due_before:  # a job has one run at an instant
                due_before.add(due)
                await finish(runs[process], "a", due, now)
        elif kind == "prune":
            await runs[process].prune(at(now), AGE, 100, DAY)
        elif kind == "wait":
            now += number * 20
        else:
            assert (await count(counters[process], now))["a"] == len(due_before)
    fresh = RunCounters(MemoryStore(data))
    totals = [await count(each, now + 1) for each in (*counters, fresh)]
    assert totals[0] == totals[1] == totals[2] == {"a": len(due_before), "a-b": 0, "b": 0}
    assert counters[0].counts_of("a") == fresh.counts_of("a")


def test_lateness_is_judged_by_the_end_of_the_run() -> None:
    from scheduler.stores.runs.rollups.keys import mark_late

    run = run_of(ticket("a", 0))
    key = "hour~a~2026112512.x"
    assert mark_late(key, [run]) == []
    (mark,) = mark_late(key, [run, replace(run, finished_at=run.due_at + timedelta(seconds=61))])
    assert (mark.key, mark.partition) == ("late~a~.x", shard_of_job("a"))
