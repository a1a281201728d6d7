"""Retention, on every store."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from jobs.runs import Ticket
from scheduler.stores.port import Store
from scheduler.stores.runs import repository
from scheduler.stores.runs.keys import DONE_PREFIX, HISTORY_TABLE, OPEN_PREFIX, RUN_PREFIX, SHARD_NAMES
from scheduler.stores.runs.repository import Claim, Runs
from tests.scheduler.stores.memory import MemoryData, MemoryStore
from tests.scheduler.stores.samples import LEASE, NOON, at, run_of, ticket

DAY = 86400
MANY = 1000


@pytest.fixture
def runs(store: Store) -> Runs:
    return Runs(store)


async def start(runs: Runs, ticket: Ticket) -> Claim:
    claim = await runs.claim(ticket, "one", NOON + LEASE, NOON)
    assert isinstance(claim, Claim)
    return claim


async def finish(runs: Runs, job: str, seconds: Sequence[float]) -> None:
    for second in seconds:
        await runs.finish(await start(runs, ticket(job, second)), run_of(ticket(job, second)))


async def kept(runs: Runs, job: str | None = None) -> list[tuple[str, float]]:
    page = await runs.list_page(job=job, limit=500)
    return [(record.ticket.job, (record.ticket.due_at - NOON).total_seconds()) for record in page.records]


async def keys_left(store: Store, *beginnings: str) -> int:
    """Rows of runs with one of these beginnings, or of any."""
    rows = [row for name in SHARD_NAMES for row in await store.list_rows(HISTORY_TABLE, name, limit=100)]
    return sum(row.key.startswith(beginnings or (RUN_PREFIX, OPEN_PREFIX, DONE_PREFIX)) for row in rows)


async def test_runs_older_than_the_age_are_deleted_from_every_list(runs: Runs, store: Store) -> None:
    old = [-3 * DAY, -2 * DAY - 1, -2 * DAY]
    await finish(runs, "a", [*old, -2 * DAY + 1, 0])
    await finish(runs, "b", [-2 * DAY - 5])
    assert await runs.prune(NOON, 2 * DAY, MANY) == 4
    assert await kept(runs) == await kept(runs, "a") == [("a", 0), ("a", -2 * DAY + 1)]
    assert await kept(runs, "b") == []
    assert await runs.find(ticket("b", -2 * DAY - 5).id) is None
    assert await keys_left(store) == 4
    assert await runs.prune(NOON, 2 * DAY, MANY) == 0


async def test_more_runs_than_fit_into_one_batch_are_deleted(runs: Runs) -> None:
    await finish(runs, "a", range(130))
    assert await runs.prune(at(DAY * 3), DAY, MANY) == 130
    assert await kept(runs) == []


async def test_a_late_run_of_what_is_gone_already_is_listed_again(runs: Runs) -> None:
    await finish(runs, "a", [0])
    assert await runs.prune(at(3 * DAY), 2 * DAY, MANY) == 1
    await finish(runs, "a", [3 * DAY])
    await runs.enqueue(ticket("a", 0))
    await runs.finish(await start(runs, ticket("a", 0)), run_of(ticket("a", 0)))
    assert await kept(runs) == [("a", 3 * DAY), ("a", 0)]


async def test_a_run_that_was_never_settled_goes_with_its_age(runs: Runs, store: Store) -> None:
    await runs.finish(await start(runs, ticket("a", -3 * DAY)), run_of(ticket("a", -3 * DAY)), acknowledged=False)
    assert await runs.prune(NOON, 2 * DAY, MANY) == 1
    assert await keys_left(store) == 0


async def test_a_run_that_never_came_to_its_end_goes_with_its_age(runs: Runs, store: Store) -> None:
    await runs.enqueue(ticket("a", -3 * DAY))
    await start(runs, ticket("b", -3 * DAY))
    await start(runs, ticket("b", -1))
    assert await runs.prune(NOON, 2 * DAY, MANY) == 2
    assert await kept(runs) == [("b", -1)]
    assert await keys_left(store, OPEN_PREFIX) == 1


async def test_only_the_newest_runs_of_a_job_are_kept(runs: Runs) -> None:
    await finish(runs, "a", [-DAY, -DAY + 1, 0, 1, 2, 3])
    await finish(runs, "b", [0, 1])
    assert await runs.prune(NOON, 30 * DAY, 3) == 3
    assert await kept(runs, "a") == [("a", 3), ("a", 2), ("a", 1)]
    assert await kept(runs) == [("a", 3), ("a", 2), ("a", 1), ("b", 1), ("b", 0)]


async def test_a_run_under_way_is_kept_however_many_are_newer(runs: Runs) -> None:
    claim = await start(runs, ticket("a", 0))
    await finish(runs, "a", [1, 2, 3, 4])
    assert await runs.prune(NOON, 30 * DAY, 2) == 2
    assert await kept(runs, "a") == [("a", 4), ("a", 3), ("a", 0)]
    await runs.finish(claim, run_of(ticket("a", 0)))
    assert await runs.prune(NOON, 30 * DAY, 2) == 1


async def test_the_number_is_kept_roughly_also_when_each_process_finishes_one_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repository, "randrange", Random(7).randrange)
    data = MemoryData()
    most = 0
    for number in range(200):
        runs = Runs(MemoryStore(data))
        await finish(runs, "a", [number])
        await runs.prune(NOON, 30 * DAY, 20)
        most = max(most, len(await kept(runs, "a")))
    assert 20 < most < 35


async def test_nothing_to_delete_costs_a_few_reads_however_many_runs_there_are() -> None:
    store = MemoryStore()
    runs = Runs(store)
    for job in range(20):
        await finish(runs, f"job{job}", range(10))
    await runs.prune(NOON, DAY, 10)
    store.reads = 0
    store.changes.clear()
    assert await runs.prune(NOON, DAY, 10) == 0
    assert store.reads <= 2 * len(SHARD_NAMES)
    assert store.changes == []


async def test_runs_are_deleted_in_small_batches_between_which_others_write() -> None:
    store = MemoryStore()
    runs = Runs(store)
    await finish(runs, "a", range(300))
    await runs.prune(at(DAY * 3), DAY, MANY)
    assert store.largest_apply == 2 * repository.DELETE_BATCH
    assert await keys_left(store) == 0
