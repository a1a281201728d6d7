"""Deletes runs that are old or too many. Used by runs.repository; the hosts call it regularly.

Old runs are found by the oldest pointers to finished runs, so the cost depends on what expires, not on what is stored.
The runs of a job are counted only after a tenth of the limit was added: ten keys are read for each deleted run. The
first count starts at random, so that processes that live for a shorter time do their share. Their
counts remain (runs.rollups).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from random import randrange

from scheduler.stores.port import LARGEST_PAGE, Delete, Store
from scheduler.stores.runs.keys import (
    DONE_PREFIX,
    HISTORY_TABLE,
    OPEN_PREFIX,
    PREFIX_END,
    RUN_PREFIX,
    SHARD_NAMES,
    RunKey,
    instant_before,
    job_prefix,
    reverse_ms,
    shard_of_job,
)
from scheduler.stores.runs.open_index import is_unfinished, list_history_between, list_open_rows_of_jobs

DELETE_BATCH = 50
"""Runs deleted at a time: writers wait for milliseconds at most, and with their pointers they are one transaction."""


class RunRetention:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._finished: dict[str, int] = {}
        """Runs of each job since its last count."""
        self._new: list[str] = []
        """Jobs that were never counted."""

    def count_finished(self, job: str) -> None:
        """Register a finished run of the job."""
        finished = self._finished.get(job)
        if finished is None:
            self._new.append(job)
        self._finished[job] = (finished or 0) + 1

    async def prune(self, now: datetime, age_s: float, runs_per_job: int) -> int:
        """See Runs.prune."""
        oldest = instant_before(now, age_s)
        end = reverse_ms(oldest)
        deleted = 0
        for name in SHARD_NAMES:
            deleted += await self._delete_expired_open(name, end)
            deleted += await self._delete_expired(name, end)
        for job in self._jobs_to_count(max(1, runs_per_job // 10)):
            deleted += await self._delete_excess(job, runs_per_job)
        return deleted

    async def _delete_expired_open(self, partition: str, end: str) -> int:
        """Delete the open runs of a shard that were due before the instant of this key.

        An open run of that age is abandoned: it outlived its lease by far, or was queued and never delivered.
        """
        pointers = await list_history_between(self._store, partition, OPEN_PREFIX, OPEN_PREFIX + PREFIX_END)
        expired = [pointer for pointer in pointers if RunKey.from_row_key(pointer.key).at > end]
        for start in range(0, len(expired), DELETE_BATCH):
            some = expired[start : start + DELETE_BATCH]
            runs = [RunKey.from_row_key(pointer.key).run_key for pointer in some if is_unfinished(pointer)]
            await self._delete_rows(partition, [*runs, *(pointer.key for pointer in some)])
        return sum(map(is_unfinished, expired))

    async def _delete_expired(self, partition: str, end: str) -> int:
        """Delete the finished runs of a shard that were due before the instant of this key."""
        deleted = 0
        after = DONE_PREFIX + end
        while rows := await self._store.list_rows(
            HISTORY_TABLE, partition, after=after, until=DONE_PREFIX + PREFIX_END, limit=DELETE_BATCH, bodies=False
        ):
            await self._delete_rows(
                partition, [key for row in rows for key in (RunKey.from_row_key(row.key).run_key, row.key)]
            )
            deleted += len(rows)
            after = rows[-1].key
        return deleted

    def _jobs_to_count(self, step: int) -> list[str]:
        """Return jobs that have at least `step` runs more than at their last count."""
        for job in self._new:
            self._finished[job] += randrange(step)
        self._new.clear()
        grown = [job for job, finished in self._finished.items() if finished >= step]
        for job in grown:
            self._finished[job] = 0
        return grown

    async def _delete_excess(self, job: str, number: int) -> int:
        # Open runs do not count as excess: they will still be finished.
        going = {RunKey.from_row_key(row.key) for row in await list_open_rows_of_jobs(self._store, job, bodies=False)}
        deleted = 0
        partition, until = shard_of_job(job), job_prefix(RUN_PREFIX, job) + PREFIX_END
        after = await self._find_key_of_newest(job, number)
        while after and (
            rows := await self._store.list_rows(
                HISTORY_TABLE, partition, after=after, until=until, limit=DELETE_BATCH, bodies=False
            )
        ):
            over = [key for row in rows if (key := RunKey.from_row_key(row.key)) not in going]
            if over:
                await self._delete_rows(partition, [row for key in over for row in (key.run_key, key.done_key)])
            deleted += len(over)
            after = rows[-1].key
        return deleted

    async def _find_key_of_newest(self, job: str, number: int) -> str:
        """Return the row key of the job's `number`th newest run; "" if it has fewer."""
        after = job_prefix(RUN_PREFIX, job)
        until = after + PREFIX_END
        while number > 0:
            batch = min(number, LARGEST_PAGE)
            rows = await self._store.list_rows(
                HISTORY_TABLE, shard_of_job(job), after=after, until=until, limit=batch, bodies=False
            )
            if len(rows) < batch:
                return ""
            number -= batch
            after = rows[-1].key
        return after

    async def _delete_rows(self, partition: str, keys: Sequence[str]) -> None:
        await self._store.apply(*(Delete(HISTORY_TABLE, partition, key) for key in keys))
