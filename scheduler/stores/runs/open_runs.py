"""Open runs: what a claim of one returns, and how they are found: queued, running, or finished and not acknowledged.

They are found by their pointers. The pointer of a queued or running run contains everything that the run's own row
does, so no other row is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.fast_frozen import fast_frozen
from jobs.formats import format_instant
from jobs.runs import Run, Ticket
from scheduler.stores.port import Row, Store, StoreError
from scheduler.stores.rows import PREFIX_END, list_all_rows
from scheduler.stores.runs.codec import RunRecord, RunState, decode_record, read_status
from scheduler.stores.runs.keys import HISTORY_TABLE, OPEN_PREFIX, SHARD_NAMES, RunKey, job_prefix, shard_of_job
from scheduler.turns import convert_each


class ClaimLost(StoreError):
    """Another owner has the run; nothing was stored."""

    def __init__(self, run_id: str, owner: str) -> None:
        super().__init__(f"run {run_id} is no longer claimed by {owner}: its lease ended and another owner has the run")


@fast_frozen(frozen=True, slots=True)
class Claim:
    """The right to perform a run until the lease ends, and to finish it. `is_takeover`: from an owner that died."""

    ticket: Ticket
    owner: str
    lease_until: datetime
    etag: str
    is_takeover: bool = False


@dataclass(frozen=True, slots=True)
class AlreadyClaimed:
    """The run is finished, or another owner (or an earlier claim of the same owner) is performing it."""

    record: RunRecord

    @property
    def retry_at(self) -> datetime | None:
        """When the lease ends, and the run can be claimed; None if it is finished."""
        return self.record.lease_until

    def __str__(self) -> str:
        if self.record.run is not None:
            return f"it is finished ({self.record.run.outcome})"
        if self.retry_at is None:
            return "it is finished"
        return f"{self.record.owner} has claimed it until {format_instant(self.retry_at)}"


@fast_frozen(frozen=True, slots=True)
class RunResult:
    """The result of a claimed run. Not `acknowledged`: a follow-up is pending, see Runs.acknowledge."""

    claim: Claim
    run: Run
    acknowledged: bool = True


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that is queued (no lease; an owner intends to run it) or running. Its lease may have ended."""

    run_id: str
    job: str
    due_at: datetime
    owner: str = ""
    lease_until: datetime | None = None


async def list_open_rows(store: Store, *, bodies: bool = True) -> Sequence[Row]:
    """Return pointers to the open runs of all jobs, newest due instant first."""
    shards = await asyncio.gather(
        *(
            list_history_between(store, name, OPEN_PREFIX, OPEN_PREFIX + PREFIX_END, bodies=bodies)
            for name in SHARD_NAMES
        )
    )
    return sorted((row for rows in shards for row in rows), key=lambda row: RunKey.from_row_key(row.key).sort_key)


async def list_open_rows_of_jobs(store: Store, *jobs: str, bodies: bool = True) -> Sequence[Row]:
    """Return pointers to the open runs of jobs of one shard, and of those between them; of each job newest due instant
    first.
    """
    keys = [job_prefix(OPEN_PREFIX, job) for job in jobs]
    return await list_history_between(store, shard_of_job(jobs[0]), min(keys), max(keys) + PREFIX_END, bodies=bodies)


async def list_open_keys(store: Store, shard: str) -> Sequence[RunKey]:
    """Return the keys of the open runs of a shard's jobs, by job, each job's newest due instant first."""
    return [
        RunKey.from_row_key(row.key)
        for row in await list_history_between(store, shard, OPEN_PREFIX, OPEN_PREFIX + PREFIX_END, bodies=False)
    ]


async def list_history_between(
    store: Store, partition: str, after: str, until: str, *, bodies: bool = True
) -> Sequence[Row]:
    """Return all rows of HISTORY_TABLE with such keys, however many."""
    return await list_all_rows(store, HISTORY_TABLE, partition, after=after, until=until, bodies=bodies)


def is_unfinished(pointer: Row) -> bool:
    """Return whether it is queued or running."""
    return read_status(pointer) in (RunState.QUEUED, RunState.RUNNING)


def decode_unfinished(pointers: Sequence[Row]) -> list[RunRecord]:
    return [decode_record(pointer) for pointer in pointers if is_unfinished(pointer)]


def to_open_run(record: RunRecord) -> OpenRun:
    return OpenRun(record.ticket.id, record.ticket.job, record.ticket.due_at, record.owner, record.lease_until)


async def read_records(store: Store, keys: Sequence[RunKey]) -> list[RunRecord]:
    """Return the runs of these keys that exist."""
    rows = await asyncio.gather(*(store.get_row(HISTORY_TABLE, key.shard, key.run_key) for key in keys))
    return await convert_each(decode_record, (row for row in rows if row is not None))
