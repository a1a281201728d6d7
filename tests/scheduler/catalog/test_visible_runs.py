"""The counts of runs from an instant on: no run of before is counted, and none of after is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from jobs.runs import Outcome, Ticket
from scheduler.catalog.catalog import Catalog
from scheduler.catalog.visible_past import VisibleRuns
from scheduler.stores.runs.repository import Runs
from tests.scheduler.fakes import entry
from tests.scheduler.stores.memory import MemoryData, MemoryStore
from tests.scheduler.stores.samples import run_of

START = datetime(2026, 3, 1, 22, tzinfo=UTC)
HOURS = 6
OUTCOMES = st.sampled_from([Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SKIPPED, Outcome.CANCELLED])
MINUTES = st.integers(0, HOURS * 60 - 1)


class CutCatalog(Catalog):
    def __init__(self, begin: datetime) -> None:
        super().__init__([entry()])
        self.begin = begin

    def begin_of(self, job: str) -> datetime:
        return self.begin


async def count(runs: Sequence[tuple[int, Outcome]], begin: int, since: int, until: int, folds: bool) -> int:
    store = MemoryStore(MemoryData())
    whole = Runs(store)
    for minute, outcome in runs:
        due = START + timedelta(minutes=minute)
        ticket = Ticket.scheduled("checkout", due, "")
        claim = await whole.claim(ticket, "me", due + timedelta(minutes=1), due)
        await whole.finish(claim, run_of(ticket, outcome))  # type: ignore[arg-type]  # each is new
    if folds:
        await whole.prune(START + timedelta(days=2), 400 * 86400.0, 10_000)
    visible = VisibleRuns(whole, CutCatalog(START + timedelta(minutes=begin)))
    period = START + timedelta(hours=since), START + timedelta(hours=until)
    parts = await visible.list_rollups("checkout", *period)
    of_many = [pair async for pairs in visible.iterate_rollups(["checkout"], *period) for pair in pairs]
    assert sorted(of_many, key=lambda pair: pair[1].start) == [("checkout", part) for part in parts]
    return sum(part.rollup.tally.runs for part in parts)


@given(st.dictionaries(MINUTES, OUTCOMES, max_size=12), MINUTES, st.integers(0, HOURS - 1), st.booleans())
@example({0: Outcome.FAILED, 59: Outcome.SUCCEEDED}, 30, 0, False)
@example({119: Outcome.FAILED, 120: Outcome.SUCCEEDED}, 120, 0, True)
@example({10: Outcome.SKIPPED, 50: Outcome.SUCCEEDED}, 30, 0, True)
def test_the_runs_that_were_due_from_the_instant_on_are_counted(
    runs: dict[int, Outcome], begin: int, since: int, folds: bool
) -> None:
    expected = sum(minute >= max(begin, since * 60) for minute in runs)

    assert asyncio.run(count([*runs.items()], begin, since, HOURS, folds)) == expected


async def test_pages_and_the_latest_run_have_no_run_of_before() -> None:
    whole = Runs(MemoryStore(MemoryData()))
    for minute in (0, 10):
        due = START + timedelta(minutes=minute)
        ticket = Ticket.scheduled("checkout", due, "")
        claim = await whole.claim(ticket, "me", due + timedelta(minutes=1), due)
        await whole.finish(claim, run_of(ticket))  # type: ignore[arg-type]
    between, after = (VisibleRuns(whole, CutCatalog(START + timedelta(minutes=minute))) for minute in (5, 15))

    assert len((await between.list_page("checkout")).records) == 1
    assert (await between.list_page("checkout", until=START)).continuation is None
    assert list(await between.find_latest_of_jobs(["checkout"])) == ["checkout"]
    assert await after.find_latest_of_jobs(["checkout"]) == {}
