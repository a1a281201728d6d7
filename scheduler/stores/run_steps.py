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
from scheduler.stores.claims import Claim, ClaimLost, End, Held
from scheduler.stores.fitting import run_that_fits
from scheduler.stores.port import (
    LARGEST_STEP,
    Change,
    Delete,
    Insert,
    Put,
    Replace,
    Row,
    RowChanged,
    RowExists,
    Store,
    StoreError,
)
from scheduler.stores.run_codec import Record, RunState, decode, encode_finished, encode_open, encode_unsettled
from scheduler.stores.run_keys import HISTORY, RunKey
from scheduler.stores.run_there import find_there

_log = logging.getLogger("scheduler.stores")

MANY = LARGEST_STEP // 2
"""Runs that one transaction claims. Of more than these it is found out first whether they are there."""
_TRIES = 4
"""Of one step, when others change the run between reading and writing."""


@dataclass(slots=True)
class _Wanted:
    """A ticket that is being claimed, and what was there when it was looked at."""

    ticket: Ticket
    lease_until: datetime
    key: RunKey
    body: str
    found: Record | None = None

    def changes(self) -> Sequence[Change]:
        return begun(self.key, self.body) if self.found is None else _changed(self.key, self.body, self.found.etag)

    def claim(self, owner: str, etag: str) -> Claim:
        dead = self.found is not None and self.found.state is RunState.RUNNING
        return Claim(self.ticket, owner, self.lease_until, etag, taken_over=dead)


@dataclass(slots=True)
class _Step:
    """What a claimed run's row is to become, what goes with it, and the etag that it is known by."""

    claim: Claim
    key: RunKey
    body: str
    beside: Sequence[Change]
    etag: str

    def changes(self) -> Sequence[Change]:
        return [Replace(HISTORY, self.key.shard, self.key.run, self.body, self.etag), *self.beside]

    def may_follow(self, row: Row) -> bool:
        """Whether the run is still its owner's: the claim is one from before a renewal."""
        record = decode(row)
        return (record.state, record.owner) == (RunState.RUNNING, self.claim.owner)


class RunSteps:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def claim_all(
        self, wanted: Sequence[tuple[Ticket, datetime]], owner: str, now: datetime
    ) -> Sequence[Claim | Held | StoreError]:
        """See Runs.claim_all."""
        answers: dict[int, Claim | Held | StoreError] = {}
        trying: dict[int, _Wanted] = {}
        for number, (ticket, lease_until) in enumerate(wanted):
            try:
                key = RunKey.of(ticket)
            except ValueError as error:
                answers[number] = StoreError(str(error))
            else:
                body = encode_open(ticket, RunState.RUNNING, owner, lease_until)
                trying[number] = _Wanted(ticket, lease_until, key, body)
        if len(trying) > MANY:
            trying = await self._unless_there(trying, owner, now, answers)
        await self._claim(trying, owner, now, answers)
        return [answers[number] for number in range(len(wanted))]

    async def _claim(
        self, trying: Mapping[int, _Wanted], owner: str, now: datetime, answers: dict[int, Claim | Held | StoreError]
    ) -> None:
        tries = 0
        while trying and tries < _TRIES:
            tries += 1
            results = await self._store.apply_each([one.changes() for one in trying.values()])
            refused: dict[int, _Wanted] = {}
            for (number, one), result in zip(trying.items(), results, strict=True):
                if not isinstance(result, StoreError):
                    answers[number] = one.claim(owner, result[0])
                elif isinstance(result, RowExists | RowChanged):
                    refused[number] = one
                else:
                    answers[number] = result
            trying = await self._claimable(refused, now, answers) if refused else {}

    async def _unless_there(
        self, wanted: Mapping[int, _Wanted], owner: str, now: datetime, answers: dict[int, Claim | Held | StoreError]
    ) -> dict[int, _Wanted]:
        """Those that are still to be claimed; the others are answered.

        A message may be delivered twice: then the first and the last of its runs are there, and most others, too. To
        find that out by claiming each would cost requests for each.
        """
        first, last = min(wanted), max(wanted)
        await self._claim({number: wanted[number] for number in (first, last)}, owner, now, answers)
        rest = {number: one for number, one in wanted.items() if number not in (first, last)}
        if not (isinstance(answers[first], Held) or isinstance(answers[last], Held)):
            return rest
        try:
            there = await find_there(self._store, [one.key for one in rest.values()])
        except StoreError as error:
            answers |= dict.fromkeys(rest, error)
            return {}
        claimable: dict[int, _Wanted] = {}
        for number, one in rest.items():
            record = there.get(one.key)
            if record is None or (record.state is not RunState.FINISHED and _may_be_claimed(record, now)):
                claimable[number] = one
            else:
                answers[number] = Held(record)
        return claimable

    async def renew_all(self, claims: Sequence[Claim], lease_until: datetime) -> Sequence[Claim | StoreError]:
        """See Runs.renew_all."""
        steps = []
        for claim in claims:
            body = encode_open(claim.ticket, RunState.RUNNING, claim.owner, lease_until)
            steps.append(_reopened(claim, body))
        answers = await self._make(steps)
        return [
            answer if isinstance(answer, StoreError) else replace(claim, lease_until=lease_until, etag=answer)
            for claim, answer in zip(claims, answers, strict=True)
        ]

    async def put_back(self, claim: Claim) -> Record:
        """See Runs.put_back."""
        (answer,) = await self._make([_reopened(claim, encode_open(claim.ticket, RunState.QUEUED))])
        if isinstance(answer, StoreError):
            raise answer
        return Record(claim.ticket, RunState.QUEUED, "", None, None, answer)

    async def finish_all(self, ends: Sequence[End]) -> Sequence[Row | StoreError]:
        """See Runs.finish_all. Returns the rows of the runs that are finished."""
        steps = [_ended(end) for end in ends]
        answers = await self._make(steps)
        return [
            answer if isinstance(answer, StoreError) else Row(step.key.shard, step.key.run, step.body, answer)
            for step, answer in zip(steps, answers, strict=True)
        ]

    async def _claimable(
        self, refused: Mapping[int, _Wanted], now: datetime, answers: dict[int, Claim | Held | StoreError]
    ) -> dict[int, _Wanted]:
        """Of tickets whose runs are there, those that may be claimed all the same; the others are answered."""
        found = await asyncio.gather(*(self._record(one.key) for one in refused.values()))
        claimable: dict[int, _Wanted] = {}
        for (number, one), record in zip(refused.items(), found, strict=True):
            if isinstance(record, StoreError):
                answers[number] = record
                continue
            # What the last try leaves.
            answers[number] = Held(record)
            if _may_be_claimed(record, now):
                one.found = record
                claimable[number] = one
        return claimable

    async def _record(self, key: RunKey) -> Record | StoreError:
        row = await self._row(key)
        if row is None:
            return RowChanged(HISTORY, key.shard, key.run)
        return row if isinstance(row, StoreError) else decode(row)

    async def _row(self, key: RunKey) -> Row | StoreError | None:
        try:
            return await self._store.get(HISTORY, key.shard, key.run)
        except StoreError as error:
            return error

    async def _make(self, steps: Sequence[_Step]) -> Sequence[str | StoreError]:
        """The etag of each run's row, or why the step was not made: ClaimLost if the run is its owner's no more."""
        answers: dict[int, str | StoreError] = {}
        trying = dict(enumerate(steps))
        tries = 0
        while trying and tries < _TRIES:
            tries += 1
            results = await self._store.apply_each([step.changes() for step in trying.values()])
            refused: dict[int, _Step] = {}
            for (number, step), result in zip(trying.items(), results, strict=True):
                if isinstance(result, RowChanged):
                    refused[number] = step
                else:
                    answers[number] = result if isinstance(result, StoreError) else result[0]
            trying = await self._renewed(refused, answers) if refused else {}
        return [answers[number] for number in range(len(steps))]

    async def _renewed(self, refused: Mapping[int, _Step], answers: dict[int, str | StoreError]) -> dict[int, _Step]:
        """Of steps whose claim is an old one, those to be tried again with its new etag; the others are answered."""
        rows = await asyncio.gather(*(self._row(step.key) for step in refused.values()))
        renewed: dict[int, _Step] = {}
        for (number, step), row in zip(refused.items(), rows, strict=True):
            # What the last try leaves.
            answers[number] = ClaimLost(step.claim.ticket.id, step.claim.owner)
            if isinstance(row, StoreError):
                answers[number] = row
            elif row is not None and row.body == step.body:
                # An earlier try got that far, and its answer was lost.
                answers[number] = row.etag
            elif row is not None and step.may_follow(row):
                step.etag = row.etag
                renewed[number] = step
        return renewed


def begun(key: RunKey, body: str) -> Sequence[Change]:
    """A new run that is not finished."""
    shard = key.shard
    return [Insert(HISTORY, shard, key.run, body), Put(HISTORY, shard, key.open, body)]


def finished_body(run: Run) -> str:
    """The body of a finished run's row. Of a run that is too large for one a part is left out, which it says."""
    text, cut = run_that_fits(run, encode_finished)
    if cut:
        _log.warning("run %s is too large for the store: %s", run.id, cut)
    return text


def done(key: RunKey, run: Run) -> Change:
    """What lists a finished run among those of all jobs."""
    return Put(HISTORY, key.shard, key.done, f'"{run.outcome}"')


def _changed(key: RunKey, body: str, etag: str) -> Sequence[Change]:
    return [Replace(HISTORY, key.shard, key.run, body, etag), Put(HISTORY, key.shard, key.open, body)]


def _reopened(claim: Claim, body: str) -> _Step:
    key = RunKey.of(claim.ticket)
    return _Step(claim, key, body, [Put(HISTORY, key.shard, key.open, body)], claim.etag)


def _ended(end: End) -> _Step:
    key = RunKey.of(end.claim.ticket)
    if end.settled:
        pointer: Change = Delete(HISTORY, key.shard, key.open)
    else:
        pointer = Put(HISTORY, key.shard, key.open, encode_unsettled(end.run))
    return _Step(end.claim, key, finished_body(end.run), [done(key, end.run), pointer], end.claim.etag)


def _may_be_claimed(record: Record, now: datetime) -> bool:
    if record.state is RunState.RUNNING:
        return record.lease_until is None or record.lease_until <= now
    return record.state is RunState.QUEUED
