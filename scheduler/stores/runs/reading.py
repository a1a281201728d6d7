"""The reads of runs: one by its id, pages, open runs, the latest ones, rollups.

The newest finished run of each job is cached, for overview pages and dependencies. A backfill does not count: it
belongs to an instant of the past, and observes the target of now. The newest run is read from the job's own runs, where
it is among the first rows, so a crash leaves no second copy behind. A run that was read is cached briefly, and is
replaced by the runs that this process finishes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from jobs.runs import Outcome, Run
from scheduler.stores.port import Row, Store
from scheduler.stores.rows import PREFIX_END
from scheduler.stores.runs.codec import RunRecord, RunState, can_be_latest, decode_record
from scheduler.stores.runs.keys import HISTORY_TABLE, RUN_PREFIX, DueRange, RunKey, job_prefix, shard_of_job
from scheduler.stores.runs.open_runs import (
    OpenRun,
    decode_unfinished,
    is_unfinished,
    list_open_keys,
    list_open_rows,
    list_open_rows_of_jobs,
    read_records,
    to_open_run,
)
from scheduler.stores.runs.pages import JobMatcher, RunPage, RunPager
from scheduler.stores.runs.rollups.reading import JobPart, RollupPart, RollupReads
from scheduler.stores.runs.rollups.tally import Tally
from scheduler.stores.runs.transitions import iterate_open_pages
from scheduler.turns import convert_each

LATEST_MAX_AGE = 5.0
"""Seconds for which a newer run of another process may be missed."""
_JOBS_AT_ONCE = 100
"""Jobs that are read together."""
_READ_SIZES = (3, 50, 200, 1000)
"""Rows read in a row until one counts: the newest ones may be open, or a backfill of up to 1000 runs."""


@dataclass(frozen=True, slots=True)
class _CachedRow:
    row: Row | None
    until: float


class LatestRunCache:
    def __init__(self, store: Store, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._cached: dict[str, _CachedRow] = {}

    async def find_all(self, jobs: Iterable[str]) -> dict[str, RunRecord]:
        """Return the newest finished run, not a backfill, of each job that has one."""
        latest: dict[str, RunRecord] = {}
        names = iter(jobs)
        while some := list(islice(names, _JOBS_AT_ONCE)):
            now = self._monotonic()
            await asyncio.gather(*(self._refresh(job) for job in some if self._is_stale(job, now)))
            rows = [(job, row) for job in some if (row := self._cached[job].row) is not None]
            records = await convert_each(decode_record, (row for _, row in rows))
            latest.update((job, record) for (job, _), record in zip(rows, records, strict=True))
        return latest

    async def read_newest(self, job: str) -> RunRecord | None:
        """Return the newest finished run of a job, not a backfill, from the store."""
        row = await self._newest_finished(job)
        return None if row is None else decode_record(row)

    def update(self, run: Run, row: Row) -> None:
        """Register a run that this process finished. Only jobs that were read before are cached."""
        cached = self._cached.get(run.job)
        if cached is None or (cached.row is not None and row.key > cached.row.key):
            return
        if not run.trigger.is_rerun or can_be_latest(row):
            self._cached[run.job] = _CachedRow(row, self._monotonic() + LATEST_MAX_AGE)

    def _is_stale(self, job: str, now: float) -> bool:
        cached = self._cached.get(job)
        return cached is None or cached.until <= now

    async def _refresh(self, job: str) -> None:
        before = self._cached.get(job)
        row = await self._newest_finished(job)
        # An update during the read is newer than the row that was read.
        if self._cached.get(job) is before:
            self._cached[job] = _CachedRow(row, self._monotonic() + LATEST_MAX_AGE)

    async def _newest_finished(self, job: str) -> Row | None:
        after = job_prefix(RUN_PREFIX, job)
        until = after + PREFIX_END
        for limit in _READ_SIZES:
            rows = await self._store.list_rows(HISTORY_TABLE, shard_of_job(job), after=after, until=until, limit=limit)
            for row in rows:
                if can_be_latest(row):
                    return row
            if len(rows) < limit:
                return None
            after = rows[-1].key
        return None


RUN_FILTERS: tuple[str, ...] = (*Outcome, RunState.RUNNING, RunState.QUEUED)
"""Values of `outcome` of `RunReads.list_page`."""
RUN_READS_AT_ONCE = 200
"""Rows that are read concurrently: more would delay other readers."""


class RunReads:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._pages = RunPager(store)
        self._latest = LatestRunCache(store, monotonic)
        self._rollups = RollupReads(store)

    async def find(self, run_id: str) -> RunRecord | None:
        """Return None if there is no such run, or if it is not a run id."""
        key = RunKey.from_run_id(run_id)
        row = await self._store.get_row(HISTORY_TABLE, key.shard, key.run_key) if key is not None else None
        return None if row is None else decode_record(row)

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
        """List runs, newest due instant first; over all jobs, queued and running ones come before the others.

        `outcome` is one of RUN_FILTERS; `since` and `until` bound the due instant, both inclusive; `matches_job`
        selects jobs by name. Request the next page with the same arguments. A call reads a limited number of rows, so a
        page may have fewer than `limit` (even none) and still have a continuation.

        Raises:
            ValueError: an unknown outcome, a limit below 1, or a continuation of another list.
        """
        if outcome is not None and outcome not in RUN_FILTERS:
            raise ValueError(f"{outcome!r} is not one of {', '.join(RUN_FILTERS)}")
        return await self._pages.read_page(job, outcome, limit, continuation, DueRange(since, until), matches_job)

    async def list_states_between(self, job: str, since: datetime, until: datetime) -> Mapping[str, str]:
        """Return the job's runs that were due in [since, until], by id: the outcome, or the state of an unfinished one.

        Raises:
            ValueError: an instant is outside the years 1970 to 2286.
        """
        return await self._pages.list_states_between(job, since, until)

    async def list_rollups(
        self, job: str, since: datetime, until: datetime, boundaries: Collection[datetime] = ()
    ) -> Sequence[RollupPart]:
        """Return the counts of the job's finished runs that were due in [since, until), whether or not they are still
        stored, in the order of time: days, and hours of days that one of these instants or of `boundaries` divides.

        All instants are full hours in UTC.
        """
        return await self._rollups.list_parts(job, since, until, boundaries)

    async def read_response_hours(self, job: str, since: datetime, until: datetime) -> Mapping[datetime, Sequence[int]]:
        """Return the response times of each full hour of [since, until) in which runs of the job were due.

        They are encoded histograms.
        """
        return await self._rollups.read_response_hours(job, since, until)

    async def read_hours(self, job: str, since: datetime, until: datetime) -> Mapping[datetime, Tally]:
        """Return the counts of each full hour of [since, until) in which runs of the job were due."""
        return await self._rollups.read_hours(job, since, until)

    def iterate_rollups(
        self, jobs: Sequence[str], since: datetime, until: datetime
    ) -> AsyncIterator[Iterator[JobPart]]:
        """Yield what `list_rollups` returns for each of these jobs of one shard, in any order, with few reads.

        Each iterator decodes when it is consumed, which takes longer than reading: consume it in short steps.
        """
        return self._rollups.iterate_many(jobs, since, until)

    async def find_rollups_complete_since(self, job: str, otherwise: datetime) -> datetime | None:
        """Return the instant from which every run of the job is counted: None if that is always so, `otherwise` as long
        as the runs of older versions are not counted.
        """
        return await self._rollups.find_complete_since(job, otherwise)

    def list_begins(self, jobs: Iterable[str]) -> tuple[datetime | None, ...]:
        """Return from when on runs of each job are read, for keys of caches; nothing if all are."""
        return ()

    async def list_unfinished(self) -> Sequence[RunRecord]:
        """Return every run that is queued or running, newest first."""
        return decode_unfinished(await list_open_rows(self._store))

    async def list_unacknowledged(self) -> Sequence[Run]:
        """Return finished runs that were never acknowledged, newest first: their follow-up may be missing."""
        pointers = [row for row in await list_open_rows(self._store) if not is_unfinished(row)]
        return await self.read_finished([RunKey.from_row_key(row.key) for row in pointers])

    async def read_finished(self, keys: Sequence[RunKey]) -> Sequence[Run]:
        """Return those of these runs that are finished, in the same order."""
        found: list[RunRecord] = []
        for start in range(0, len(keys), RUN_READS_AT_ONCE):
            found += await read_records(self._store, keys[start : start + RUN_READS_AT_ONCE])
        return [record.run for record in found if record.run is not None]

    def iterate_open_pages(self) -> AsyncIterator[Sequence[Row]]:
        """Yield the pointers of all open runs, see runs.transitions; `decode_record` reads a queued or running one."""
        return iterate_open_pages(self._store)

    async def list_open(self) -> Sequence[OpenRun]:
        """Return every run that is queued or running, newest due instant first."""
        return [to_open_run(record) for record in await self.list_unfinished()]

    async def list_open_of_jobs(self, *jobs: str) -> Sequence[OpenRun]:
        """Return the queued and running runs of jobs of one shard; of each job newest due instant first."""
        found = decode_unfinished(await list_open_rows_of_jobs(self._store, *jobs))
        return [to_open_run(record) for record in found if record.ticket.job in jobs]

    async def list_open_keys(self, shard: str) -> Sequence[RunKey]:
        """Return the keys of the open runs of a shard's jobs: queued, running, or finished and not acknowledged.

        No bodies are read, so this costs little, however many exist.
        """
        return await list_open_keys(self._store, shard)

    async def find_latest(self, job: str, *, fresh: bool = False) -> RunRecord | None:
        """Return the job's newest finished run that is not a backfill. `fresh`: read from the store, whichever process
        finished it.
        """
        if fresh:
            return await self._latest.read_newest(job)
        return (await self.find_latest_of_jobs([job])).get(job)

    async def find_latest_of_jobs(self, jobs: Iterable[str]) -> dict[str, RunRecord]:
        """Return the newest finished run, not a backfill, of each job that has one. Runs that other processes finished
        may be missing for 5 s.
        """
        return await self._latest.find_all(jobs)
