"""Finds the runs that are open, by their pointers: queued, running, or finished and not settled.

Used by runs, run_pages and run_retention.

The pointer of a queued or running run holds all that the run's own row does, so nothing else is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from scheduler.stores.claims import OpenRun
from scheduler.stores.port import LARGEST_PAGE, Row, Store
from scheduler.stores.run_codec import Record, RunState, decode, status_of
from scheduler.stores.run_keys import END, HISTORY, OPEN, SHARD_NAMES, RunKey, of_job, shard


async def open_rows(store: Store, *, bodies: bool = True) -> Sequence[Row]:
    """Pointers to the open runs of all jobs, newest due instant first."""
    found = await asyncio.gather(*(rows_between(store, name, OPEN, OPEN + END, bodies=bodies) for name in SHARD_NAMES))
    return sorted((row for rows in found for row in rows), key=lambda row: RunKey.read(row.key).order)


async def open_rows_of(store: Store, *jobs: str, bodies: bool = True) -> Sequence[Row]:
    """Pointers to the open runs of jobs of one shard, and of those between them; of each newest due instant first."""
    keys = [of_job(OPEN, job) for job in jobs]
    return await rows_between(store, shard(jobs[0]), min(keys), max(keys) + END, bodies=bodies)


async def open_keys(store: Store, shard: str) -> Sequence[RunKey]:
    """The open runs of a shard's jobs, by job, each job's newest due instant first."""
    return [RunKey.read(row.key) for row in await rows_between(store, shard, OPEN, OPEN + END, bodies=False)]


async def rows_between(store: Store, partition: str, after: str, until: str, *, bodies: bool = True) -> Sequence[Row]:
    """All rows of HISTORY with such keys, however many."""
    found: list[Row] = []
    while True:
        rows = await store.list(HISTORY, partition, after=after, until=until, limit=LARGEST_PAGE, bodies=bodies)
        found += rows
        if len(rows) < LARGEST_PAGE:
            return found
        after = rows[-1].key


def is_unfinished(pointer: Row) -> bool:
    """Queued or running."""
    return status_of(pointer) in (RunState.QUEUED, RunState.RUNNING)


def unfinished_records(pointers: Sequence[Row]) -> list[Record]:
    return [decode(pointer) for pointer in pointers if is_unfinished(pointer)]


def open_run(record: Record) -> OpenRun:
    return OpenRun(record.ticket.id, record.ticket.job, record.ticket.due_at, record.owner, record.lease_until)


async def read_runs(store: Store, keys: Sequence[RunKey]) -> list[Record]:
    """The runs of these keys, as far as they exist."""
    rows = await asyncio.gather(*(store.get(HISTORY, key.shard, key.run) for key in keys))
    return [decode(row) for row in rows if row is not None]
