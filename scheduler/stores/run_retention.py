"""Deletes runs that are old or too many. Used by runs; the hosts call it now and then.

Age is found by the oldest days of the timeline, so the work grows with what expires, not with what is kept. The number
of a job's runs is looked at only after it has grown by a tenth of what is allowed: ten rows' keys are read for each one
deleted. Where counting begins is drawn by lot, so that processes that live shorter than a tenth takes do their share.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from random import randrange

from scheduler.stores.port import LARGEST_PAGE, Delete, Store
from scheduler.stores.run_keys import (
    DAYS,
    OPEN,
    RUNS,
    TIMELINE,
    RunKey,
    before,
    day_key,
    day_of,
    day_of_key,
    reverse_ms,
)

BATCH = 50
"""Runs deleted at a time, so that writers wait for milliseconds at most."""


class Retention:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._finished: dict[str, int] = {}
        """Runs of each job since it was last looked at."""
        self._seen: set[str] = set()

    def count(self, job: str) -> None:
        """A run of the job was finished."""
        self._finished[job] = self._finished.get(job, 0) + 1

    async def prune(self, now: datetime, age_s: float, runs_per_job: int) -> int:
        """See Runs.prune."""
        end = before(now, age_s)
        deleted = await self._expire(OPEN, end)
        for day in await self._days_until(day_of(end)):
            deleted += await self._expire(day, end)
            await self._forget_if_empty(day, end)
        if grown := self._grown(max(1, runs_per_job // 10)):
            going = await self._open_runs()
            for job in grown:
                deleted += await self._keep_newest(job, runs_per_job, going)
        return deleted

    async def _days_until(self, last: str) -> Sequence[str]:
        """Days up to this one that have runs, oldest first."""
        days: list[str] = []
        after = ""
        while rows := await self._store.list(TIMELINE, DAYS, after=after, limit=LARGEST_PAGE, bodies=False):
            days += (day_of_key(row.key) for row in rows)
            after = rows[-1].key
        return sorted(day for day in days if day <= last)

    async def _expire(self, partition: str, end: datetime) -> int:
        """Delete the runs of a partition of TIMELINE that were due before this instant.

        An open run of that age is no run any more: it outlived its lease by far, or was queued and never came.
        """
        deleted = 0
        after = reverse_ms(end)
        while rows := await self._store.list(TIMELINE, partition, after=after, limit=BATCH, bodies=False):
            await self._delete([RunKey.of_pointer(row.key) for row in rows], partition)
            deleted += len(rows)
            after = rows[-1].key
        return deleted

    async def _forget_if_empty(self, day: str, end: datetime) -> None:
        # A day that is not over yet still gets runs, written by processes that have noted it already.
        if day < day_of(end) and not await self._store.list(TIMELINE, day, limit=1, bodies=False):
            await self._store.apply(Delete(TIMELINE, DAYS, day_key(day)))

    def _grown(self, step: int) -> list[str]:
        """Jobs that have at least `step` runs more than when they were last looked at."""
        for job in self._finished.keys() - self._seen:
            self._finished[job] += randrange(step)
            self._seen.add(job)
        grown = [job for job, finished in self._finished.items() if finished >= step]
        for job in grown:
            self._finished[job] = 0
        return grown

    async def _open_runs(self) -> set[RunKey]:
        """Those that no number of newer ones takes away: they are still to be finished."""
        going: set[RunKey] = set()
        after = ""
        while rows := await self._store.list(TIMELINE, OPEN, after=after, limit=LARGEST_PAGE, bodies=False):
            going.update(RunKey.of_pointer(row.key) for row in rows)
            after = rows[-1].key
        return going

    async def _keep_newest(self, job: str, number: int, going: set[RunKey]) -> int:
        deleted = 0
        after = await self._key_of_newest(job, number)
        while after and (rows := await self._store.list(RUNS, job, after=after, limit=BATCH, bodies=False)):
            keys = [key for row in rows if (key := RunKey(job, row.key)) not in going]
            for day, together in groupby(keys, key=lambda key: key.day):
                await self._delete(list(together), day)
            deleted += len(keys)
            after = rows[-1].key
        return deleted

    async def _key_of_newest(self, job: str, number: int) -> str:
        """The key of the job's `number`th newest run; "" if it has fewer."""
        after = ""
        while number > 0:
            asked = min(number, LARGEST_PAGE)
            rows = await self._store.list(RUNS, job, after=after, limit=asked, bodies=False)
            if len(rows) < asked:
                return ""
            number -= asked
            after = rows[-1].key
        return after

    async def _delete(self, keys: Sequence[RunKey], partition: str) -> None:
        """Runs first: a pointer that is left over is passed over by everybody, and found again by the next round."""
        by_job = sorted(keys, key=lambda key: key.job)
        runs = [Delete(RUNS, key.job, key.key) for key in by_job]
        await self._store.apply(*runs, *(Delete(TIMELINE, partition, key.pointer) for key in keys))
