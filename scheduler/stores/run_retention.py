"""Deletes runs that are old or too many. Used by runs; the hosts call it now and then.

Age is found by the oldest pointers to finished runs, so the work grows with what expires, not with what is kept. The
number of a job's runs is looked at only after it has grown by a tenth of what is allowed: ten rows' keys are read for
each one deleted. Where counting begins is drawn by lot, so that processes that live shorter than a tenth takes do their
share. What those that are too many have said stays (run_hours).
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import datetime
from random import randrange

from scheduler.stores.port import LARGEST_PAGE, Delete, Row, RowChanged, RowExists, Store
from scheduler.stores.run_hours import RunHours, end_of, hour_of
from scheduler.stores.run_keys import (
    DONE,
    END,
    HISTORY,
    OPEN,
    RUN,
    SHARD_NAMES,
    RunKey,
    before,
    of_job,
    reverse_ms,
    shard,
)
from scheduler.stores.run_open import is_unfinished, open_rows_of, rows_between

BATCH = 50
"""Runs deleted at a time: writers wait for milliseconds at most, and with their pointers they are one step."""
SUMMED = 48
"""The same of those that are too many: with the row of their hour, and old ones that go with it, they are one step."""


class Retention:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._hours = RunHours(store)
        self._finished: dict[str, int] = {}
        """Runs of each job since it was last looked at."""
        self._new: list[str] = []
        """Those of them that were never looked at."""

    def count(self, job: str) -> None:
        """A run of the job was finished."""
        finished = self._finished.get(job)
        if finished is None:
            self._new.append(job)
        self._finished[job] = (finished or 0) + 1

    async def prune(self, now: datetime, age_s: float, runs_per_job: int) -> int:
        """See Runs.prune."""
        oldest = before(now, age_s)
        end = reverse_ms(oldest)
        deleted = 0
        for name in SHARD_NAMES:
            deleted += await self._expire_open(name, end)
            deleted += await self._expire(name, end)
        for job in self._grown(max(1, runs_per_job // 10)):
            deleted += await self._keep_newest(job, runs_per_job, oldest)
        return deleted

    async def _expire_open(self, partition: str, end: str) -> int:
        """Delete the open runs of a shard that were due before the instant of this key.

        An open run of that age is no run any more: it outlived its lease by far, or was queued and never came.
        """
        pointers = await rows_between(self._store, partition, OPEN, OPEN + END)
        expired = [pointer for pointer in pointers if RunKey.read(pointer.key).at > end]
        for start in range(0, len(expired), BATCH):
            some = expired[start : start + BATCH]
            runs = [RunKey.read(pointer.key).run for pointer in some if is_unfinished(pointer)]
            await self._delete(partition, [*runs, *(pointer.key for pointer in some)])
        return sum(map(is_unfinished, expired))

    async def _expire(self, partition: str, end: str) -> int:
        """Delete the finished runs of a shard that were due before the instant of this key."""
        deleted = 0
        after = DONE + end
        while rows := await self._store.list(
            HISTORY, partition, after=after, until=DONE + END, limit=BATCH, bodies=False
        ):
            await self._delete(partition, [key for row in rows for key in (RunKey.read(row.key).run, row.key)])
            deleted += len(rows)
            after = rows[-1].key
        return deleted

    def _grown(self, step: int) -> list[str]:
        """Jobs that have at least `step` runs more than when they were last looked at."""
        for job in self._new:
            self._finished[job] += randrange(step)
        self._new.clear()
        grown = [job for job, finished in self._finished.items() if finished >= step]
        for job in grown:
            self._finished[job] = 0
        return grown

    async def _keep_newest(self, job: str, number: int, oldest: datetime) -> int:
        # Open ones are not taken away by any number of newer ones: they are still to be finished.
        going = {RunKey.read(row.key) for row in await open_rows_of(self._store, job, bodies=False)}
        deleted = 0
        partition, until = shard(job), of_job(RUN, job) + END
        after = await self._key_of_newest(job, number)
        while after and (
            newest := await self._store.list(HISTORY, partition, after=after, until=until, limit=1, bodies=False)
        ):
            hour = hour_of(RunKey.read(newest[0].key).due_at)
            end = of_job(RUN, job) + end_of(hour)
            try:
                deleted += await self._sum_up(job, hour, (after, end), going, oldest)
            except (RowExists, RowChanged):
                break  # another process does the same
            after = end
        return deleted

    async def _sum_up(
        self, job: str, hour: str, keys: tuple[str, str], going: Container[RunKey], oldest: datetime
    ) -> int:
        """Delete the runs between these keys, all of one hour, but those that go on. Returns how many.

        From the oldest on, as what they said is added up in this order.
        """
        # Before its runs: who takes them away after this has changed it.
        row = await self._hours.row(job, hour)
        rows = await rows_between(self._store, shard(job), *keys)
        over = [one for one in reversed(rows) if RunKey.read(one.key) not in going]
        for start in range(0, len(over), SUMMED):
            some = over[start : start + SUMMED]
            deletes = [Delete(HISTORY, shard(job), key) for one in some for key in (one.key, RunKey.read(one.key).done)]
            sums = self._hours.adding(job, hour, row, some)
            if sums is None:
                await self._store.apply(*deletes)
                continue
            older = () if row is not None else await self._hours.older(job, oldest)
            etag, *_ = await self._store.apply(sums, *deletes, *older)
            row = Row(sums.partition, sums.key, sums.body, etag)
        return len(over)

    async def _key_of_newest(self, job: str, number: int) -> str:
        """The row key of the job's `number`th newest run; "" if it has fewer."""
        after = of_job(RUN, job)
        until = after + END
        while number > 0:
            asked = min(number, LARGEST_PAGE)
            rows = await self._store.list(HISTORY, shard(job), after=after, until=until, limit=asked, bodies=False)
            if len(rows) < asked:
                return ""
            number -= asked
            after = rows[-1].key
        return after

    async def _delete(self, partition: str, keys: Sequence[str]) -> None:
        await self._store.apply(*(Delete(HISTORY, partition, key) for key in keys))
