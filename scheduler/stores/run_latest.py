"""The newest finished run of each job, for overview pages and dependencies. Used by runs.

A backfill is none: it stands at an instant of the past, and says how its target is now.

It is read from the job's own runs, where it is among the first rows, so there is no second truth that a crash could
leave behind. What was asked for once is kept for a moment, and is renewed by the runs that this process finishes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from scheduler.stores.port import Row, Store
from scheduler.stores.run_codec import Record, decode, tells_latest
from scheduler.stores.run_keys import END, HISTORY, RUN, of_job, shard

KEPT = 5.0
"""Seconds for which another process's newer run may go unseen."""
_AT_ONCE = 100
"""Jobs that are asked for together."""
_LOOKS = (3, 50, 200, 1000)
"""Rows read in a row until one tells: the newest ones may be queued or running, or a backfill of up to 1000 runs."""


@dataclass(frozen=True, slots=True)
class _Kept:
    row: Row | None
    until: float


class LatestRuns:
    def __init__(self, store: Store, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._kept: dict[str, _Kept] = {}

    async def of(self, jobs: Iterable[str]) -> dict[str, Record]:
        """See Runs.latest_of."""
        found: dict[str, Record] = {}
        names = iter(jobs)
        while some := list(islice(names, _AT_ONCE)):
            now = self._monotonic()
            await asyncio.gather(*(self._renew(job) for job in some if self._is_stale(job, now)))
            rows = ((job, self._kept[job].row) for job in some)
            found.update((job, decode(row)) for job, row in rows if row is not None)
            # All of them may have been kept, and the loop has other things to do.
            await asyncio.sleep(0)
        return found

    async def read(self, job: str) -> Record | None:
        """See Runs.latest."""
        row = await self._newest_finished(job)
        return None if row is None else decode(row)

    def note(self, job: str, row: Row) -> None:
        """A run of this process was finished. Jobs that nobody has asked for are not kept."""
        kept = self._kept.get(job)
        if kept is not None and tells_latest(row) and (kept.row is None or row.key <= kept.row.key):
            self._kept[job] = _Kept(row, self._monotonic() + KEPT)

    def _is_stale(self, job: str, now: float) -> bool:
        kept = self._kept.get(job)
        return kept is None or kept.until <= now

    async def _renew(self, job: str) -> None:
        before = self._kept.get(job)
        row = await self._newest_finished(job)
        # What was noted while we read is newer than what we have read.
        if self._kept.get(job) is before:
            self._kept[job] = _Kept(row, self._monotonic() + KEPT)

    async def _newest_finished(self, job: str) -> Row | None:
        after = of_job(RUN, job)
        until = after + END
        for limit in _LOOKS:
            rows = await self._store.list(HISTORY, shard(job), after=after, until=until, limit=limit)
            for row in rows:
                if tells_latest(row):
                    return row
            if len(rows) < limit:
                return None
            after = rows[-1].key
        return None
