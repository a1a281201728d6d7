"""The sum of all days of a job, which remains when days are deleted. Written by runs.rollups.days.

A counter that is read from it never decreases. It is replaced in each transaction that changes a day, fenced by its
etag. Older versions have not written it: the first change sums up the days.
"""

from __future__ import annotations

from scheduler.stores.port import Change, Insert, Replace, Row, Store
from scheduler.stores.rows import decode_json, encode_json
from scheduler.stores.runs.keys import HISTORY_TABLE, PREFIX_END, shard_of_job
from scheduler.stores.runs.open_runs import list_history_between
from scheduler.stores.runs.rollups.keys import DAY_PREFIX, TOTAL_PREFIX
from scheduler.stores.runs.rollups.tally import Rollup, Tally


class JobTotals:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, job: str, tally: Tally) -> Change:
        """Return the change that adds the counts of hours, which are added to a day in the same transaction."""
        row = await self._read(job)
        total = await self.sum_days(job) if row is None else decode_total(row)
        total.merge(tally)
        body, shard = encode_json(total.encode()), shard_of_job(job)
        if row is None:
            return Insert(HISTORY_TABLE, shard, TOTAL_PREFIX + job, body)
        return Replace(HISTORY_TABLE, shard, TOTAL_PREFIX + job, body, row.etag)

    async def create(self, job: str) -> list[Change]:
        """Return the change that inserts a missing total, before days are deleted."""
        return [] if await self._read(job) is not None else [await self.add(job, Tally())]

    async def sum_days(self, job: str) -> Tally:
        """Return the sum of the stored days."""
        first = f"{DAY_PREFIX}{job}~"
        rows = await list_history_between(self._store, shard_of_job(job), first, first + PREFIX_END)
        total = Tally()
        for row in rows:
            total.merge(Rollup.decode(decode_json(row.body)).tally)
        return total

    async def _read(self, job: str) -> Row | None:
        return await self._store.get_row(HISTORY_TABLE, shard_of_job(job), TOTAL_PREFIX + job)


def decode_total(row: Row) -> Tally:
    return Tally.decode(decode_json(row.body))
