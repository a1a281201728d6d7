"""How runs are begun, claimed, renewed and ended, a batch at a time. Used by runs.

Each step of a run is all or none, as its rows lie in one partition: its own row, which is fenced by the etag, and the
pointers to it. So a crash leaves nothing half done, and a batch of steps is a few requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.runs import Run, Ticket
from scheduler.stores.port import (
    LARGEST_ATOMIC_GROUP,
    Change,
    Delete,
    Insert,
    Replace,
    Row,
    RowChanged,
    RowExists,
    Store,
    StoreError,
    Upsert,
)
from scheduler.stores.rows.size_limits import shrink_run_to_fit
from scheduler.stores.runs.claims import AlreadyClaimed, Claim, ClaimLost, RunResult
from scheduler.stores.runs.codec import (
    RunRecord,
    RunState,
    decode_record,
    encode_finished,
    encode_open,
    encode_unacknowledged,
)
from scheduler.stores.runs.existing import find_existing
from scheduler.stores.runs.keys import HISTORY_TABLE, RunKey

_log = logging.getLogger("scheduler.stores")

CLAIMS_PER_TRANSACTION = LARGEST_ATOMIC_GROUP // 2
"""Runs that one transaction claims. Of more than these it is found out first whether they are there."""
_MAX_TRIES = 4
"""Of one step, when others change the run between reading and writing."""


@dataclass(slots=True)
class _ClaimAttempt:
    """A ticket that is being claimed, and what was there when it was looked at."""

    ticket: Ticket
    lease_until: datetime
    key: RunKey
    body: str
    found: RunRecord | None = None

    def changes(self) -> Sequence[Change]:
        return (
            insert_open_changes(self.key, self.body)
            if self.found is None
            else _replace_open_changes(self.key, self.body, self.found.etag)
        )

    def claim(self, owner: str, etag: str) -> Claim:
        dead = self.found is not None and self.found.state is RunState.RUNNING
        return Claim(self.ticket, owner, self.lease_until, etag, is_takeover=dead)


@dataclass(slots=True)
class _Transition:
    """What a claimed run's row is to become, what goes with it, and the etag that it is known by."""

    claim: Claim
    key: RunKey
    body: str
    other_changes: Sequence[Change]
    etag: str

    def changes(self) -> Sequence[Change]:
        return [Replace(HISTORY_TABLE, self.key.shard, self.key.run_key, self.body, self.etag), *self.other_changes]

    def is_still_owned(self, row: Row) -> bool:
        """Whether the run is still its owner's: the claim is one from before a renewal."""
        record = decode_record(row)
        return (record.state, record.owner) == (RunState.RUNNING, self.claim.owner)


class RunTransitions:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def claim_all(
        self, requests: Sequence[tuple[Ticket, datetime]], owner: str, now: datetime
    ) -> Sequence[Claim | AlreadyClaimed | StoreError]:
        """See Runs.claim_all."""
        answers: dict[int, Claim | AlreadyClaimed | StoreError] = {}
        trying: dict[int, _ClaimAttempt] = {}
        for number, (ticket, lease_until) in enumerate(requests):
            try:
                key = RunKey.for_ticket(ticket)
            except ValueError as error:
                answers[number] = StoreError(str(error))
            else:
                body = encode_open(ticket, RunState.RUNNING, owner, lease_until)
                trying[number] = _ClaimAttempt(ticket, lease_until, key, body)
        if len(trying) > CLAIMS_PER_TRANSACTION:
            trying = await self._exclude_existing(trying, owner, now, answers)
        await self._claim_attempts(trying, owner, now, answers)
        return [answers[number] for number in range(len(requests))]

    async def _claim_attempts(
        self,
        trying: Mapping[int, _ClaimAttempt],
        owner: str,
        now: datetime,
        answers: dict[int, Claim | AlreadyClaimed | StoreError],
    ) -> None:
        tries = 0
        while trying and tries < _MAX_TRIES:
            tries += 1
            results = await self._store.apply_each([one.changes() for one in trying.values()])
            refused: dict[int, _ClaimAttempt] = {}
            for (number, one), result in zip(trying.items(), results, strict=True):
                if not isinstance(result, StoreError):
                    answers[number] = one.claim(owner, result[0])
                elif isinstance(result, RowExists | RowChanged):
                    refused[number] = one
                else:
                    answers[number] = result
            trying = await self._select_claimable(refused, now, answers) if refused else {}

    async def _exclude_existing(
        self,
        wanted: Mapping[int, _ClaimAttempt],
        owner: str,
        now: datetime,
        answers: dict[int, Claim | AlreadyClaimed | StoreError],
    ) -> dict[int, _ClaimAttempt]:
        """Those that are still to be claimed; the others are answered.

        A message may be delivered twice: then the first and the last of its runs are there, and most others, too. To
        find that out by claiming each would cost requests for each.
        """
        first, last = min(wanted), max(wanted)
        await self._claim_attempts({number: wanted[number] for number in (first, last)}, owner, now, answers)
        rest = {number: one for number, one in wanted.items() if number not in (first, last)}
        if not (isinstance(answers[first], AlreadyClaimed) or isinstance(answers[last], AlreadyClaimed)):
            return rest
        try:
            there = await find_existing(self._store, [one.key for one in rest.values()])
        except StoreError as error:
            answers |= dict.fromkeys(rest, error)
            return {}
        claimable: dict[int, _ClaimAttempt] = {}
        for number, one in rest.items():
            record = there.get(one.key)
            if record is None or (record.state is not RunState.FINISHED and _is_claimable(record, now)):
                claimable[number] = one
            else:
                answers[number] = AlreadyClaimed(record)
        return claimable

    async def renew_all(self, claims: Sequence[Claim], lease_until: datetime) -> Sequence[Claim | StoreError]:
        """See Runs.renew_all."""
        steps = []
        for claim in claims:
            body = encode_open(claim.ticket, RunState.RUNNING, claim.owner, lease_until)
            steps.append(_to_open(claim, body))
        answers = await self._apply_transitions(steps)
        return [
            answer if isinstance(answer, StoreError) else replace(claim, lease_until=lease_until, etag=answer)
            for claim, answer in zip(claims, answers, strict=True)
        ]

    async def release(self, claim: Claim) -> RunRecord:
        """See Runs.put_back."""
        (answer,) = await self._apply_transitions([_to_open(claim, encode_open(claim.ticket, RunState.QUEUED))])
        if isinstance(answer, StoreError):
            raise answer
        return RunRecord(claim.ticket, RunState.QUEUED, "", None, None, answer)

    async def finish_all(self, results: Sequence[RunResult]) -> Sequence[Row | StoreError]:
        """See Runs.finish_all. Returns the rows of the runs that are finished."""
        steps = [_to_finished(end) for end in results]
        answers = await self._apply_transitions(steps)
        return [
            answer if isinstance(answer, StoreError) else Row(step.key.shard, step.key.run_key, step.body, answer)
            for step, answer in zip(steps, answers, strict=True)
        ]

    async def _select_claimable(
        self,
        refused: Mapping[int, _ClaimAttempt],
        now: datetime,
        answers: dict[int, Claim | AlreadyClaimed | StoreError],
    ) -> dict[int, _ClaimAttempt]:
        """Of tickets whose runs are there, those that may be claimed all the same; the others are answered."""
        found = await asyncio.gather(*(self._read_record(one.key) for one in refused.values()))
        claimable: dict[int, _ClaimAttempt] = {}
        for (number, one), record in zip(refused.items(), found, strict=True):
            if isinstance(record, StoreError):
                answers[number] = record
                continue
            # What the last try leaves.
            answers[number] = AlreadyClaimed(record)
            if _is_claimable(record, now):
                one.found = record
                claimable[number] = one
        return claimable

    async def _read_record(self, key: RunKey) -> RunRecord | StoreError:
        row = await self._read_row(key)
        if row is None:
            return RowChanged(HISTORY_TABLE, key.shard, key.run_key)
        return row if isinstance(row, StoreError) else decode_record(row)

    async def _read_row(self, key: RunKey) -> Row | StoreError | None:
        try:
            return await self._store.get_row(HISTORY_TABLE, key.shard, key.run_key)
        except StoreError as error:
            return error

    async def _apply_transitions(self, steps: Sequence[_Transition]) -> Sequence[str | StoreError]:
        """The etag of each run's row, or why the step was not made: ClaimLost if the run is its owner's no more."""
        answers: dict[int, str | StoreError] = {}
        trying = dict(enumerate(steps))
        tries = 0
        while trying and tries < _MAX_TRIES:
            tries += 1
            results = await self._store.apply_each([step.changes() for step in trying.values()])
            refused: dict[int, _Transition] = {}
            for (number, step), result in zip(trying.items(), results, strict=True):
                if isinstance(result, RowChanged):
                    refused[number] = step
                else:
                    answers[number] = result if isinstance(result, StoreError) else result[0]
            trying = await self._select_renewed(refused, answers) if refused else {}
        return [answers[number] for number in range(len(steps))]

    async def _select_renewed(
        self, refused: Mapping[int, _Transition], answers: dict[int, str | StoreError]
    ) -> dict[int, _Transition]:
        """Of steps whose claim is an old one, those to be tried again with its new etag; the others are answered."""
        rows = await asyncio.gather(*(self._read_row(step.key) for step in refused.values()))
        renewed: dict[int, _Transition] = {}
        for (number, step), row in zip(refused.items(), rows, strict=True):
            # What the last try leaves.
            answers[number] = ClaimLost(step.claim.ticket.id, step.claim.owner)
            if isinstance(row, StoreError):
                answers[number] = row
            elif row is not None and row.body == step.body:
                # An earlier try got that far, and its answer was lost.
                answers[number] = row.etag
            elif row is not None and step.is_still_owned(row):
                step.etag = row.etag
                renewed[number] = step
        return renewed


def insert_open_changes(key: RunKey, body: str) -> Sequence[Change]:
    """A new run that is not finished."""
    shard = key.shard
    return [Insert(HISTORY_TABLE, shard, key.run_key, body), Upsert(HISTORY_TABLE, shard, key.open_key, body)]


def encode_to_fit(run: Run) -> str:
    """The body of a finished run's row. Of a run that is too large for one a part is left out, which it says."""
    text, cut = shrink_run_to_fit(run, encode_finished)
    if cut:
        _log.warning("run %s is too large for the store: %s", run.id, cut)
    return text


def done_pointer(key: RunKey, run: Run) -> Change:
    """What lists a finished run among those of all jobs."""
    return Upsert(HISTORY_TABLE, key.shard, key.done_key, f'"{run.outcome}"')


def _replace_open_changes(key: RunKey, body: str, etag: str) -> Sequence[Change]:
    return [
        Replace(HISTORY_TABLE, key.shard, key.run_key, body, etag),
        Upsert(HISTORY_TABLE, key.shard, key.open_key, body),
    ]


def _to_open(claim: Claim, body: str) -> _Transition:
    key = RunKey.for_ticket(claim.ticket)
    return _Transition(claim, key, body, [Upsert(HISTORY_TABLE, key.shard, key.open_key, body)], claim.etag)


def _to_finished(end: RunResult) -> _Transition:
    key = RunKey.for_ticket(end.claim.ticket)
    if end.acknowledged:
        pointer: Change = Delete(HISTORY_TABLE, key.shard, key.open_key)
    else:
        pointer = Upsert(HISTORY_TABLE, key.shard, key.open_key, encode_unacknowledged(end.run))
    return _Transition(end.claim, key, encode_to_fit(end.run), [done_pointer(key, end.run), pointer], end.claim.etag)


def _is_claimable(record: RunRecord, now: datetime) -> bool:
    if record.state is RunState.RUNNING:
        return record.lease_until is None or record.lease_until <= now
    return record.state is RunState.QUEUED
