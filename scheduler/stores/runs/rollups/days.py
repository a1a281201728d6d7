"""Sums up the hours of complete days into days and totals, and deletes expired days.

A sum is written in the transaction that deletes the rows that it contains, fenced by their etags: each run is counted
once, wherever a process ends. An hour that gets a run later has a new row, which the next round adds.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

from scheduler.stores.port import Change, Delete, Insert, Replace, Row, RowChanged, RowExists, Store
from scheduler.stores.rows import PREFIX_END, decode_json, encode_json
from scheduler.stores.runs.keys import HISTORY_TABLE, shard_of_job
from scheduler.stores.runs.open_runs import list_history_between
from scheduler.stores.runs.rollups.hours import HourCounts
from scheduler.stores.runs.rollups.keys import (
    DAY_HOURS_PREFIX,
    DAY_PREFIX,
    HOUR_PREFIX,
    TOTAL_PREFIX,
    hour_of,
    job_of,
    last_of_job,
)
from scheduler.stores.runs.rollups.tally import Rollup, Tally, pack_hour, unite


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


ROWS_PER_FOLD = 90
"""Rows that are summed up at a time: with the two rows of the day and the total they are one transaction."""
_DAYS_PER_DELETE = 45
_HOUR_DIGITS = slice(8, 10)


class RollupDays:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._totals = JobTotals(store)

    async def fold_before(self, shard: str, day: str) -> None:
        """Sum up the hours of a shard's jobs before this day."""
        async for job, _ in self._iterate_jobs(shard, HOUR_PREFIX):
            first = f"{HOUR_PREFIX}{job}~"
            rows = await list_history_between(self._store, shard, first, first + day)
            for start in range(0, len(rows), ROWS_PER_FOLD):
                for _, some in groupby(rows[start : start + ROWS_PER_FOLD], lambda row: hour_of(row.key)[:8]):
                    await self._fold(job, [*some])

    async def delete_before(self, shard: str, day: str) -> None:
        """Delete what a shard stores of days before this one."""
        async for job, oldest in self._iterate_jobs(shard, DAY_PREFIX):
            with suppress(RowExists):  # another process has created the total: the next round deletes
                await self._delete_days(shard, job, oldest, day)

    async def _delete_days(self, shard: str, job: str, oldest: str, day: str) -> None:
        created = await self._totals.create(job) if oldest < day else []
        while oldest < day:
            first = f"{DAY_PREFIX}{job}~"
            rows = await self._store.list_rows(
                HISTORY_TABLE, shard, after=first, until=first + day, limit=_DAYS_PER_DELETE, bodies=False
            )
            days = [hour_of(row.key) for row in rows]
            await self._store.apply(
                *created,
                *(
                    Delete(HISTORY_TABLE, shard, f"{prefix}{job}~{one}")
                    for one in days
                    for prefix in (DAY_PREFIX, DAY_HOURS_PREFIX)
                ),
            )
            created = []
            if len(days) < _DAYS_PER_DELETE:
                break

    async def add(self, job: str, day: str, hours: Mapping[str, Rollup], instead_of: Sequence[Row]) -> bool:
        """Add hours (`03`) to a day, and delete these rows. Return False if another process has changed one of them."""
        shard = shard_of_job(job)
        keys = [f"{prefix}{job}~{day}" for prefix in (DAY_PREFIX, DAY_HOURS_PREFIX)]
        total_row, hours_row = [await self._store.get_row(HISTORY_TABLE, shard, key) for key in keys]
        total = Rollup() if total_row is None else Rollup.decode(decode_json(total_row.body))
        stored = {} if hours_row is None else decode_hours(hours_row.body)
        added = Tally()
        for hour, rollup in sorted(hours.items()):
            added.merge(rollup.tally)
            by_hour = pack_hour(int(hour), rollup.tally.runs, rollup.tally.down)
            total.merge(Rollup(rollup.tally, rollup.segment, by_hour))
            if hour in stored:
                existing = Rollup.decode(stored[hour])
                existing.merge(rollup)
                stored[hour] = existing.encode()
            else:
                stored[hour] = rollup.encode()
        bodies = encode_json(total.encode()), encode_hours(stored)
        changes = [
            write_change(row, shard, key, body)
            for row, key, body in zip((total_row, hours_row), keys, bodies, strict=True)
        ]
        deletes = [Delete(HISTORY_TABLE, shard, row.key, row.etag) for row in instead_of]
        with suppress(RowExists, RowChanged):
            await self._store.apply(*changes, await self._totals.add(job, added), *deletes)
            return True
        return False

    async def _fold(self, job: str, rows: Sequence[Row]) -> None:
        hours = {hour[_HOUR_DIGITS]: rollup for hour, rollup in sum_by_hour(rows)}
        await self.add(job, hour_of(rows[0].key)[:8], hours, rows)

    async def _iterate_jobs(self, shard: str, prefix: str) -> AsyncIterator[tuple[str, str]]:
        """Yield each job with rows of this prefix, and the hour or day of its oldest one."""
        after = prefix
        while rows := await self._store.list_rows(
            HISTORY_TABLE, shard, after=after, until=prefix + PREFIX_END, limit=1, bodies=False
        ):
            job = job_of(rows[0].key)
            yield job, hour_of(rows[0].key)
            after = last_of_job(prefix, job)


def encode_hours(hours: Mapping[str, Any]) -> str:
    """Return the text of a day's hours, compressed: it is the largest row, and is rarely read."""
    return b64encode(zlib.compress(encode_json(hours).encode(), 9)).decode()


def decode_hours(body: str) -> dict[str, Any]:
    found: dict[str, Any] = decode_json(zlib.decompress(b64decode(body)).decode())
    return found


def sum_by_hour(rows: Iterable[Row]) -> Iterator[tuple[str, Rollup]]:
    """Yield the sum for each hour (2026112503) of rows of a job that are in the order of their keys."""
    for hour, some in groupby(rows, lambda row: hour_of(row.key)):
        yield hour, sum_counts([HourCounts.decode(row.body) for row in some])


def sum_counts(counts: Sequence[HourCounts]) -> Rollup:
    """Return the sum of one hour's rows from all processes."""
    tally = counts[0].tally
    for other in counts[1:]:
        tally.merge(other.tally)
    observed = [one.availability for one in counts if one.availability is not None]
    return Rollup(tally, unite(observed) if observed else None)


def write_change(row: Row | None, shard: str, key: str, body: str) -> Insert | Replace:
    """Return the change that inserts a row, or replaces the one that was read."""
    if row is None:
        return Insert(HISTORY_TABLE, shard, key, body)
    return Replace(HISTORY_TABLE, shard, key, body, row.etag)
