"""The runs of jobs from when these had a tag of a principal on. Created by scheduler.catalog.limited.

Counts and lists begin at that instant. Of the hour that contains it, the stored runs are counted, unless its rollup
tells that all runs started after the instant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from jobs.runs import Run
from scheduler.catalog.catalog import Catalog
from scheduler.stores.runs.pages import JobMatcher
from scheduler.stores.runs.repository import RunPage, RunRecord, Runs
from scheduler.stores.runs.rollups.days import sum_counts
from scheduler.stores.runs.rollups.keys import HOUR
from scheduler.stores.runs.rollups.reading import JobPart, RollupPart
from scheduler.stores.runs.rollups.upkeep import sum_runs

MAX_RUNS_COUNTED = 1000
"""An hour with more runs since its job became visible is skipped."""
_MILLISECOND = timedelta(milliseconds=1)


class VisibleRuns(Runs):
    """Reads of one job, and the latest runs, have no run of before. Other methods are those of `whole`."""

    def __init__(self, whole: Runs, catalog: Catalog) -> None:
        vars(self).update(vars(whole))
        self._catalog = catalog

    def list_begins(self, jobs: Iterable[str]) -> tuple[datetime | None, ...]:
        """See RunReads.list_begins."""
        return tuple(map(self._catalog.begin_of, jobs))

    async def list_page(
        self,
        job: str | None = None,
        outcome: str | None = None,
        limit: int = 50,
        continuation: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        matches_job: JobMatcher | None = None,
    ) -> RunPage:
        """See RunReads.list_page."""
        begin = None if job is None else self._catalog.begin_of(job)
        if begin is not None:
            since = begin if since is None else max(since, begin)
            if until is not None and until < since:
                return RunPage((), None)
        return await super().list_page(
            job, outcome, limit, continuation, since=since, until=until, matches_job=matches_job
        )

    async def find_latest_of_jobs(self, jobs: Iterable[str]) -> dict[str, RunRecord]:
        """See RunReads.find_latest_of_jobs."""
        found = await super().find_latest_of_jobs(jobs)
        return {job: record for job, record in found.items() if self._is_own(job, record)}

    async def list_rollups(
        self, job: str, since: datetime, until: datetime, boundaries: Collection[datetime] = ()
    ) -> Sequence[RollupPart]:
        """See RunReads.list_rollups."""
        begin = self._catalog.begin_of(job)
        if begin is None or begin <= since:
            return await super().list_rollups(job, since, until, boundaries)
        if begin >= until:
            return []
        first = begin.replace(minute=0, second=0, microsecond=0)
        # The next hour divides the day, also where the first hour begins it.
        parts = await super().list_rollups(job, first, until, (*boundaries, first + HOUR))
        if begin == first or all(_is_whole(part, begin) for part in parts if part.start == first):
            return parts
        return [*await self._count_hour(job, begin, first), *(part for part in parts if part.start > first)]

    async def iterate_rollups(
        self, jobs: Sequence[str], since: datetime, until: datetime
    ) -> AsyncIterator[Iterator[JobPart]]:
        """See RunReads.iterate_rollups."""
        begins = dict(zip(jobs, self.list_begins(jobs), strict=True))
        whole = [job for job, begin in begins.items() if begin is None or begin <= since]
        if whole:
            async for parts in super().iterate_rollups(whole, since, until):
                yield parts
        for job in begins.keys() - {*whole}:
            yield ((job, part) for part in await self.list_rollups(job, since, until))

    def _is_own(self, job: str, record: RunRecord) -> bool:
        begin, run = self._catalog.begin_of(job), record.run
        return begin is None or run is None or run.started_at >= begin

    async def _count_hour(self, job: str, begin: datetime, first: datetime) -> Sequence[RollupPart]:
        page = await self.list_page(job, limit=MAX_RUNS_COUNTED, since=begin, until=first + HOUR - _MILLISECOND)
        runs: list[Run] = [record.run for record in page.records if record.run is not None]
        if page.continuation is not None or not runs:
            return []
        return [RollupPart(hour, HOUR, sum_counts([counts])) for hour, counts in sum_runs(runs).items()]


def _is_whole(part: RollupPart, begin: datetime) -> bool:
    """Whether all runs of an hour started after this instant, as far as its counts tell."""
    segment = part.rollup.segment
    return segment is not None and segment.first >= begin and segment.uptime.sample_count == part.rollup.tally.runs
