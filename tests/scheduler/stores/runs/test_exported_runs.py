"""Exports of runs while runs start and end, on every store."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from jobs.ports import Clock
from scheduler.catalog.catalog import Catalog
from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.features.statistics import exports
from scheduler.features.statistics.exports import Cells, Rows, export_runs
from scheduler.features.statistics.periods import ANY_TIME
from scheduler.stores.gates import Pauses
from scheduler.stores.port import Store
from scheduler.stores.runs.repository import Claim, Runs
from tests.scheduler.fakes import VirtualClock
from tests.scheduler.stores.samples import LEASE, NOON, run_of, ticket

JOBS = ("basket", "checkout", "search")
INSTANTS = range(12)


def export(store: Store, runs: Runs) -> Rows:
    clock: Clock = VirtualClock(NOON)

    async def no_states(_names: object) -> dict[str, object]:
        return {}

    pauses = Pauses(store, clock.monotonic)
    queries = JobAndRunQueries(Catalog([]), runs, pauses, clock, no_states)  # type: ignore[arg-type]
    return export_runs(queries, job=None, outcome=None, due=ANY_TIME)


async def rows_of(pages: Rows) -> AsyncIterator[Cells]:
    async for page in pages:
        for row in page:
            yield row


async def start(runs: Runs, job: str, seconds: float) -> Claim:
    claim = await runs.claim(ticket(job, seconds), "one", NOON + LEASE, NOON)
    assert isinstance(claim, Claim)
    return claim


@pytest.mark.parametrize("page_rows", [1, 5, 200])
@pytest.mark.parametrize("seed", range(3))
async def test_an_export_has_each_run_once_however_many_end_during_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, page_rows: int, seed: int
) -> None:
    monkeypatch.setattr(exports, "RUNS_PER_PAGE", page_rows)
    runs, rng = Runs(store), random.Random(seed)
    claims = [await start(runs, job, seconds) for job in JOBS for seconds in INSTANTS]
    rng.shuffle(claims)
    done, running = claims[:15], claims[15:]
    for claim in done:
        await runs.finish(claim, run_of(claim.ticket))

    exported: dict[str, str] = {}
    async for row in rows_of(export(store, runs)):
        assert row["id"] not in exported, "a run is in an export once"
        exported[row["id"]] = row["outcome"]
        if running and rng.random() < 0.7:
            claim = running.pop()
            await runs.finish(claim, run_of(claim.ticket))
    assert exported.keys() == {claim.ticket.id for claim in claims}
    assert all(exported[claim.ticket.id] == "succeeded" for claim in done)


async def test_a_run_that_ends_between_the_two_reads_of_a_page_is_in_it_once(store: Store) -> None:
    runs = Runs(store)
    claims = [await start(runs, "checkout", seconds) for seconds in INSTANTS]
    reads = 0

    class EndingStore:
        """All runs end after the open ones were read."""

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        async def list_rows(self, *place: str, **between: object) -> object:
            nonlocal reads
            if str(between.get("after", "")).startswith("d~") and not reads:
                reads += 1
                for claim in claims:
                    await runs.finish(claim, run_of(claim.ticket))
            return await store.list_rows(*place, **between)  # type: ignore[arg-type]

    page = await Runs(EndingStore()).list_page(limit=50)  # type: ignore[arg-type]
    assert reads == 1
    assert [record.state for record in page.records] == ["running"] * len(claims)
