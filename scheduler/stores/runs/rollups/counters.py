"""The counts of all finished runs of each job, which never decrease.

A count is the sum of the total of complete days (runs.rollups.days) and of the hours since then. What is immutable is
held in memory: a refresh reads the hours in which runs have finished since the last one, and some other jobs in turn,
in case a change was missed while a process had no access to the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import TypeVar

from scheduler.stores.port import Row, Store
from scheduler.stores.rows import PREFIX_END
from scheduler.stores.runs.keys import HISTORY_TABLE, SHARD_NAMES, shard_of_job
from scheduler.stores.runs.open_runs import list_history_between
from scheduler.stores.runs.rollups.days import JobTotals, decode_total
from scheduler.stores.runs.rollups.hours import HourSum
from scheduler.stores.runs.rollups.keys import (
    DAY_PREFIX,
    HOUR,
    HOUR_PREFIX,
    TOTAL_PREFIX,
    ChangeFeed,
    format_hour,
    hour_of,
    job_of,
    parse_hour,
)
from scheduler.stores.runs.rollups.tally import Tally
from scheduler.turns import convert_each

RELOAD_AFTER = timedelta(minutes=10)
"""Without a refresh. Then all jobs are read again: it is less than the age at which marks are deleted."""
SWEPT_JOBS = 50
"""Jobs that each refresh reads in turn."""
_JOBS_AT_ONCE = 100
_RECENT_HOURS = 3
_MAX_TRIES = 5

Item = TypeVar("Item")


@dataclass(slots=True)
class JobCounters:
    """`hours`: of the newest hours, which may change; `base`: the sum of everything before."""

    base: Tally = field(default_factory=Tally)
    hours: dict[str, Tally] = field(default_factory=dict)

    def sum(self) -> Tally:
        total = Tally()
        for part in (self.base, *self.hours.values()):
            total.merge(part)
        return total

    def put(self, hour: str, tally: Tally) -> None:
        self.hours[hour] = tally
        while len(self.hours) > _RECENT_HOURS:
            self.base.merge(self.hours.pop(min(self.hours)))

    def can_refresh(self, hour: str) -> bool:
        """Return whether the hour is held apart, or is newer than all that are."""
        return hour in self.hours or (not self.hours or hour > max(self.hours))


class RunCounters:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._totals = JobTotals(store)
        self._feed = ChangeFeed(store)
        self._jobs: dict[str, JobCounters] = {}
        self._refreshed_at: datetime | None = None
        self._swept = 0

    def counts_of(self, job: str) -> Tally | None:
        """Return the counts as of the last refresh; None before the first run."""
        found = self._jobs.get(job)
        return None if found is None else found.sum()

    async def refresh(self, jobs: Sequence[str], now: datetime) -> Collection[str]:
        """Read what has changed. `jobs`: those that exist, sorted. Return the jobs whose counts were read.

        A failed refresh is repeated as a whole by the next one.
        """
        is_cold = self._refreshed_at is None or not timedelta() <= now - self._refreshed_at < RELOAD_AFTER
        self._refreshed_at = None
        changed = await self._feed.read(now)
        if is_cold:
            await self._read_all(jobs)
            read: Collection[str] = jobs
        else:
            again = {*changed.late, *self._next_swept(jobs)}
            again |= {job for job, hours in changed.hours.items() if not self._can_refresh(job, hours)}
            await run_some(self._read_job, again)
            hours = [(job, hour) for job, found in changed.hours.items() if job not in again for hour in sorted(found)]
            await run_some(lambda each: self._read_hour(*each), hours)
            read = {*again, *changed.hours}
        self._refreshed_at = now
        return read

    def _can_refresh(self, job: str, hours: Iterable[str]) -> bool:
        found = self._jobs.get(job)
        return found is not None and all(map(found.can_refresh, hours))

    def _next_swept(self, jobs: Sequence[str]) -> Sequence[str]:
        start = self._swept % max(1, len(jobs))
        self._swept = start + SWEPT_JOBS
        return jobs[start : start + SWEPT_JOBS]

    async def _read_all(self, jobs: Sequence[str]) -> None:
        """Read all totals and hours. Jobs whose total has changed meanwhile, or is missing, are read singly."""
        counters: dict[str, JobCounters] = {}
        again: set[str] = set()
        for shard in SHARD_NAMES:
            totals = await self._list(shard, TOTAL_PREFIX)
            hours = await self._list(shard, HOUR_PREFIX)
            etags = {row.key: row.etag for row in await self._list(shard, TOTAL_PREFIX, bodies=False)}
            for row, base in zip(totals, await convert_each(decode_total, totals), strict=True):
                counters[_job_of_total(row)] = JobCounters(base)
            await convert_each(
                lambda each: _add_hours(counters.setdefault(each[0], JobCounters()), [*each[1]]),
                groupby(hours, lambda row: job_of(row.key)),
            )
            again |= {_job_of_total(row) for row in totals if etags.get(row.key) != row.etag}
            if await self._store.list_rows(
                HISTORY_TABLE, shard, after=DAY_PREFIX, until=DAY_PREFIX + PREFIX_END, limit=1, bodies=False
            ):
                totalled = {_job_of_total(row) for row in totals}
                again |= {job for job in jobs if shard_of_job(job) == shard and job not in totalled}
        self._jobs = counters
        await run_some(self._read_job, again)

    async def _read_job(self, job: str) -> None:
        """Read a job's total and hours, which must belong together: complete days move from the hours to the total."""
        shard, key = shard_of_job(job), TOTAL_PREFIX + job
        for _ in range(_MAX_TRIES):
            total = await self._store.get_row(HISTORY_TABLE, shard, key)
            base = await self._totals.sum_days(job) if total is None else decode_total(total)
            rows = await self._list(shard, f"{HOUR_PREFIX}{job}~")
            after = await self._store.get_row(HISTORY_TABLE, shard, key)
            if (after and after.etag) == (total and total.etag):
                break
        counters = JobCounters(base)
        _add_hours(counters, rows)
        if rows or base.runs:
            self._jobs[job] = counters
        else:
            self._jobs.pop(job, None)

    async def _read_hour(self, job: str, hour: str) -> None:
        first = f"{HOUR_PREFIX}{job}~"
        after = first + format_hour(parse_hour(hour) - HOUR) + PREFIX_END
        rows = await list_history_between(self._store, shard_of_job(job), after, first + hour + PREFIX_END)
        if rows:
            self._jobs.setdefault(job, JobCounters()).put(hour, _sum_rows(rows))
        else:
            await self._read_job(job)

    async def _list(self, shard: str, prefix: str, *, bodies: bool = True) -> Sequence[Row]:
        return await list_history_between(self._store, shard, prefix, prefix + PREFIX_END, bodies=bodies)


async def run_some(read: Callable[[Item], Awaitable[None]], items: Iterable[Item]) -> None:
    """Call `read` for each item, some at a time."""
    iterator = iter(items)
    while some := [*islice(iterator, _JOBS_AT_ONCE)]:
        await asyncio.gather(*map(read, some))


def _add_hours(counters: JobCounters, rows: Sequence[Row]) -> None:
    by_hour = {hour: [*some] for hour, some in groupby(rows, lambda row: hour_of(row.key))}
    recent = [*by_hour][-_RECENT_HOURS:]
    counters.base.merge(_sum_rows(row for hour, some in by_hour.items() if hour not in recent for row in some))
    for hour in recent:
        counters.put(hour, _sum_rows(by_hour[hour]))


def _sum_rows(rows: Iterable[Row]) -> Tally:
    total = HourSum()
    for row in rows:
        total.add(row.body)
    return total.to_tally()


def _job_of_total(row: Row) -> str:
    return row.key[len(TOTAL_PREFIX) :]
