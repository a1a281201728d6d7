"""Caches the newest finished run of each job, for overview pages and dependencies. Used by runs.repository.

A backfill does not count: it belongs to an instant of the past, and observes the target of now.

It is read from the job's own runs, where it is among the first rows, so a crash leaves no second copy behind. A run
that was read is cached briefly, and is replaced by the runs that this process finishes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from scheduler.stores.port import Row, Store
from scheduler.stores.runs.codec import RunRecord, can_be_latest, decode_record
from scheduler.stores.runs.keys import HISTORY_TABLE, PREFIX_END, RUN_PREFIX, job_prefix, shard_of_job
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
        """See Runs.find_latest_of_jobs."""
        found: dict[str, RunRecord] = {}
        names = iter(jobs)
        while some := list(islice(names, _JOBS_AT_ONCE)):
            now = self._monotonic()
            await asyncio.gather(*(self._refresh(job) for job in some if self._is_stale(job, now)))
            rows = [(job, row) for job in some if (row := self._cached[job].row) is not None]
            records = await convert_each(decode_record, (row for _, row in rows))
            found.update((job, record) for (job, _), record in zip(rows, records, strict=True))
        return found

    async def read_newest(self, job: str) -> RunRecord | None:
        """See Runs.find_latest."""
        row = await self._newest_finished(job)
        return None if row is None else decode_record(row)

    def update(self, job: str, row: Row) -> None:
        """Register a run that this process finished. Only jobs that were read before are cached."""
        cached = self._cached.get(job)
        if cached is not None and can_be_latest(row) and (cached.row is None or row.key <= cached.row.key):
            self._cached[job] = _CachedRow(row, self._monotonic() + LATEST_MAX_AGE)

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
