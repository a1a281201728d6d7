"""Takes over open runs of processes that have died, many in one transaction. Used by runs.repository, for recovery.

An open run is known by its pointer, and each transition writes the run and its pointer together. So the etag of the
pointer fences as well as that of the run, and no row is read again: a run that changed since it was listed is left
alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from jobs.runs import Run
from scheduler.stores.port import Change, Replace, Row, RowChanged, Store, StoreError, Upsert
from scheduler.stores.rows import iterate_pages
from scheduler.stores.runs.claims import Claim
from scheduler.stores.runs.codec import RunRecord, RunState, encode_open, encode_unacknowledged
from scheduler.stores.runs.keys import HISTORY_TABLE, OPEN_PREFIX, PREFIX_END, SHARD_NAMES, RunKey
from scheduler.stores.runs.rollups.counting import FinishingChanges, RunCounting
from scheduler.stores.runs.run_rows import done_pointer, encode_to_fit


async def iterate_open_pages(store: Store) -> AsyncIterator[Sequence[Row]]:
    """Yield the pointers of all open runs, a page at a time: a shard's by job, each job's newest due instant first."""
    for name in SHARD_NAMES:
        async for page in iterate_pages(store, HISTORY_TABLE, name, after=OPEN_PREFIX, until=OPEN_PREFIX + PREFIX_END):
            yield page


async def take_over_all(
    store: Store, requests: Sequence[tuple[RunRecord, datetime]], owner: str
) -> Sequence[Claim | StoreError | None]:
    """See Runs.take_over_all."""
    steps: list[Sequence[Change]] = []
    for record, lease_until in requests:
        key, body = RunKey.for_ticket(record.ticket), encode_open(record.ticket, RunState.RUNNING, owner, lease_until)
        steps.append([_pointer_change(record, key, body), Upsert(HISTORY_TABLE, key.shard, key.run_key, body)])
    answers: list[Claim | StoreError | None] = []
    for (record, lease_until), answer in zip(requests, await _apply_fenced(store, steps), strict=True):
        if isinstance(answer, str):
            answers.append(Claim(record.ticket, owner, lease_until, answer, is_takeover=True))
        else:
            answers.append(answer)
    return answers


async def finish_open_all(
    counting: RunCounting, ended: Sequence[tuple[RunRecord, Run]]
) -> Sequence[Row | StoreError | None]:
    """See Runs.finish_open_all. Return the rows of the finished runs."""
    steps: list[FinishingChanges] = []
    rows: list[Row] = []
    for record, run in ended:
        key, body = RunKey.for_ticket(record.ticket), encode_to_fit(run)
        rows.append(Row(key.shard, key.run_key, body, ""))
        pointer = _pointer_change(record, key, encode_unacknowledged(run))
        changes = [Upsert(HISTORY_TABLE, key.shard, key.run_key, body), pointer, done_pointer(key, run)]
        steps.append(FinishingChanges(key, run, changes))
    answers = await counting.finish_all(steps)
    return [
        Row(row.partition, row.key, row.body, answer)
        if isinstance(answer, str)
        else None
        if isinstance(answer, RowChanged)
        else answer
        for row, answer in zip(rows, answers, strict=True)
    ]


def _pointer_change(record: RunRecord, key: RunKey, body: str) -> Change:
    return Replace(HISTORY_TABLE, key.shard, key.open_key, body, record.etag)


async def _apply_fenced(store: Store, steps: Sequence[Sequence[Change]]) -> Sequence[str | StoreError | None]:
    """Return the etag of each run's row; None if its pointer changed."""
    answers = await store.apply_each(steps) if steps else ()
    return [
        None if isinstance(answer, RowChanged) else answer if isinstance(answer, StoreError) else answer[1]
        for answer in answers
    ]
