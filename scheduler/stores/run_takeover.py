"""Takes over open runs of processes that have died, many in one step. Used by runs, for recovery.

An open run is known by its pointer, and each step of a run writes the run and its pointer together. So the etag of the
pointer fences as well as that of the run, and nothing has to be read again: what changed since it was listed is left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from jobs.runs import Run
from scheduler.stores.claims import Claim
from scheduler.stores.port import LARGEST_PAGE, Change, Put, Replace, Row, RowChanged, Store, StoreError
from scheduler.stores.run_codec import Record, RunState, encode_open, encode_unsettled
from scheduler.stores.run_keys import END, HISTORY, OPEN, SHARD_NAMES, RunKey
from scheduler.stores.run_steps import done, finished_body


async def open_pages(store: Store) -> AsyncIterator[Sequence[Row]]:
    """Yield the pointers of all open runs, a page at a time: a shard's by job, each job's newest due instant first."""
    for name in SHARD_NAMES:
        after = OPEN
        while True:
            rows = await store.list(HISTORY, name, after=after, until=OPEN + END, limit=LARGEST_PAGE)
            if rows:
                yield rows
            if len(rows) < LARGEST_PAGE:
                break
            after = rows[-1].key


async def take_over_all(
    store: Store, wanted: Sequence[tuple[Record, datetime]], owner: str
) -> Sequence[Claim | StoreError | None]:
    """See Runs.take_over_all."""
    steps: list[Sequence[Change]] = []
    for record, lease_until in wanted:
        key, body = RunKey.of(record.ticket), encode_open(record.ticket, RunState.RUNNING, owner, lease_until)
        steps.append([_pointer(record, key, body), Put(HISTORY, key.shard, key.run, body)])
    answers: list[Claim | StoreError | None] = []
    for (record, lease_until), answer in zip(wanted, await _made(store, steps), strict=True):
        if isinstance(answer, str):
            answers.append(Claim(record.ticket, owner, lease_until, answer, taken_over=True))
        else:
            answers.append(answer)
    return answers


async def end_all(store: Store, ended: Sequence[tuple[Record, Run]]) -> Sequence[Row | StoreError | None]:
    """See Runs.end_all. Returns the rows of the runs that are finished."""
    steps: list[Sequence[Change]] = []
    rows: list[Row] = []
    for record, run in ended:
        key, body = RunKey.of(record.ticket), finished_body(run)
        rows.append(Row(key.shard, key.run, body, ""))
        pointer = _pointer(record, key, encode_unsettled(run))
        steps.append([pointer, Put(HISTORY, key.shard, key.run, body), done(key, run)])
    return [
        Row(row.partition, row.key, row.body, answer) if isinstance(answer, str) else answer
        for row, answer in zip(rows, await _made(store, steps), strict=True)
    ]


def _pointer(record: Record, key: RunKey, body: str) -> Change:
    return Replace(HISTORY, key.shard, key.open, body, record.etag)


async def _made(store: Store, steps: Sequence[Sequence[Change]]) -> Sequence[str | StoreError | None]:
    """The etag of each run's row; None if its pointer is another one by now."""
    answers = await store.apply_each(steps) if steps else ()
    return [
        None if isinstance(answer, RowChanged) else answer if isinstance(answer, StoreError) else answer[1]
        for answer in answers
    ]
