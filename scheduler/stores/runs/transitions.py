"""Renews, releases, finishes and takes over claimed runs, a batch at a time.

Each transition is atomic, because the rows of a run are in one partition: it writes the run's row, fenced by its etag,
and the pointers to it. So a crash leaves no transition half done, and a batch of transitions is a few requests.

A takeover of the open runs of processes that have died uses their pointers only: the etag of the pointer fences as well
as that of the run, and no row is read again. A run that changed since it was listed is left alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.runs import Run
from scheduler.stores.port import Change, Delete, Replace, Row, RowChanged, Store, StoreError, StoreUnavailable, Upsert
from scheduler.stores.rows import PREFIX_END, iterate_pages
from scheduler.stores.runs.codec import (
    RunRecord,
    RunState,
    decode_record,
    done_pointer,
    encode_open,
    encode_to_fit,
    encode_unacknowledged,
    read_run_row,
)
from scheduler.stores.runs.keys import HISTORY_TABLE, OPEN_PREFIX, SHARD_NAMES, RunKey
from scheduler.stores.runs.open_runs import Claim, ClaimLost, RunResult
from scheduler.stores.runs.rollups.counting import FinishingChanges, RunCounting

_log = logging.getLogger("scheduler.stores")

_MAX_TRIES = 4
"""Of one transition, when other processes change the run between the read and the write."""


@dataclass(slots=True)
class _Transition:
    """The next content of a claimed run's row, the changes that belong to it, and the row's last known etag."""

    claim: Claim
    key: RunKey
    body: str
    other_changes: Sequence[Change]
    etag: str
    run: Run | None = None
    """The result that it stores; None if the run stays open."""

    def changes(self) -> Sequence[Change]:
        return [Replace(HISTORY_TABLE, self.key.shard, self.key.run_key, self.body, self.etag), *self.other_changes]

    def is_still_owned(self, row: Row) -> bool:
        """Whether the owner still has the run: the claim is one from before a renewal."""
        record = decode_record(row)
        return (record.state, record.owner) == (RunState.RUNNING, self.claim.owner)


class RunTransitions:
    def __init__(self, store: Store, counting: RunCounting) -> None:
        self._store = store
        self._counting = counting

    async def renew_all(self, claims: Sequence[Claim], lease_until: datetime) -> Sequence[Claim | StoreError]:
        """Extend the leases; results in the same order, ClaimLost among them."""
        steps = []
        for claim in claims:
            body = encode_open(claim.ticket, RunState.RUNNING, claim.owner, lease_until)
            steps.append(_to_open(claim, body))
        answers = await self._apply_transitions(steps, self._apply_open)
        return [
            answer if isinstance(answer, StoreError) else replace(claim, lease_until=lease_until, etag=answer)
            for claim, answer in zip(claims, answers, strict=True)
        ]

    async def release_all(self, claims: Sequence[Claim]) -> Sequence[str | StoreError]:
        """Give up the runs unfinished, for any process to claim; their etags, or ClaimLost, in the same order."""
        steps = [_to_open(claim, encode_open(claim.ticket, RunState.QUEUED)) for claim in claims]
        return await self._apply_transitions(steps, self._apply_open)

    async def finish_all(self, results: Sequence[RunResult]) -> Sequence[Row | StoreError]:
        """Finish each run; None, or the error, in the same order. Return the rows of the finished runs."""
        steps = [_to_finished(end) for end in results]
        answers = await self._apply_transitions(steps, self._apply_finished)
        return [
            answer if isinstance(answer, StoreError) else Row(step.key.shard, step.key.run_key, step.body, answer)
            for step, answer in zip(steps, answers, strict=True)
        ]

    async def _apply_open(self, steps: Sequence[_Transition]) -> Sequence[str | StoreError]:
        results = await self._store.apply_each([step.changes() for step in steps])
        return [result if isinstance(result, StoreError) else result[0] for result in results]

    async def _apply_finished(self, steps: Sequence[_Transition]) -> Sequence[str | StoreError]:
        return await self._counting.finish_all(
            [FinishingChanges(step.key, step.run, step.changes()) for step in steps if step.run is not None]
        )

    async def _apply_transitions(
        self,
        steps: Sequence[_Transition],
        apply: Callable[[Sequence[_Transition]], Awaitable[Sequence[str | StoreError]]],
    ) -> Sequence[str | StoreError]:
        """Return the etag of each run's row, or the error: ClaimLost if another owner has the run."""
        answers: dict[int, str | StoreError] = {}
        trying = dict(enumerate(steps))
        tries = 0
        while trying and tries < _MAX_TRIES:
            tries += 1
            results = await apply([*trying.values()])
            refused: dict[int, _Transition] = {}
            for (number, step), result in zip(trying.items(), results, strict=True):
                if isinstance(result, RowChanged):
                    refused[number] = step
                else:
                    answers[number] = result
            trying = await self._select_renewed(refused, answers) if refused else {}
        return [answers[number] for number in range(len(steps))]

    async def _select_renewed(
        self, refused: Mapping[int, _Transition], answers: dict[int, str | StoreError]
    ) -> dict[int, _Transition]:
        """Of transitions with a former claim, return those to be retried with its new etag; the others are answered."""
        rows = await asyncio.gather(*(read_run_row(self._store, step.key) for step in refused.values()))
        renewed: dict[int, _Transition] = {}
        for (number, step), row in zip(refused.items(), rows, strict=True):
            if isinstance(row, StoreError):
                answers[number] = row
            elif row is not None and row.body == step.body:
                # An earlier try succeeded, and its answer was lost.
                answers[number] = row.etag
            elif row is not None and step.is_still_owned(row):
                step.etag = row.etag
                renewed[number] = step
                # The answer unless another try follows: the claim is not lost, so the result must not be dropped.
                answers[number] = StoreUnavailable(
                    f"the lease of run {step.claim.ticket.id} was renewed {_MAX_TRIES} times while its row was replaced"
                )
            else:
                answers[number] = ClaimLost(step.claim.ticket.id, step.claim.owner)
        return renewed


def _to_open(claim: Claim, body: str) -> _Transition:
    key = RunKey.for_ticket(claim.ticket)
    return _Transition(claim, key, body, [Upsert(HISTORY_TABLE, key.shard, key.open_key, body)], claim.etag)


def _to_finished(end: RunResult) -> _Transition:
    key = RunKey.for_ticket(end.claim.ticket)
    if end.acknowledged:
        pointer: Change = Delete(HISTORY_TABLE, key.shard, key.open_key)
    else:
        pointer = Upsert(HISTORY_TABLE, key.shard, key.open_key, encode_unacknowledged(end.run))
    changes = [done_pointer(key, end.run), pointer]
    return _Transition(end.claim, key, encode_to_fit(end.run), changes, end.claim.etag, end.run)


async def iterate_open_pages(store: Store) -> AsyncIterator[Sequence[Row]]:
    """Yield the pointers of all open runs, a page at a time: a shard's by job, each job's newest due instant first."""
    for name in SHARD_NAMES:
        async for page in iterate_pages(store, HISTORY_TABLE, name, after=OPEN_PREFIX, until=OPEN_PREFIX + PREFIX_END):
            yield page


async def take_over_all(
    store: Store, requests: Sequence[tuple[RunRecord, datetime]], owner: str
) -> Sequence[Claim | StoreError | None]:
    """Claim runs that are listed as open, whichever owner they have; None: the run has changed since."""
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
    """Finish runs that are listed as open, whichever owner they have. Return the rows of the finished runs."""
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
