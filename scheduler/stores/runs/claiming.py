"""Claims runs, a batch at a time: reserves each for one worker, by a row in state running that has a lease.

A run has a row, and a second row that points to it and shows whether it is open or done (scheduler.stores.runs.keys).
Each claim is atomic: it writes the run's row, fenced by its etag, and the pointer. Which runs of a batch exist already
is found by a few lists: runs of different jobs are not neighbours, but the pointers to the finished ones are, ordered
by their instants, and so are the pointers to the open ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.runs import Ticket
from scheduler.stores.port import MAX_ATOMIC_GROUP, Change, RowChanged, RowExists, Store, StoreError
from scheduler.stores.rows import PREFIX_END
from scheduler.stores.runs.codec import (
    RunRecord,
    RunState,
    decode_record,
    encode_open,
    finished_record,
    insert_open_changes,
    read_run_row,
    replace_open_changes,
)
from scheduler.stores.runs.keys import DONE_PREFIX, HISTORY_TABLE, OPEN_PREFIX, RunKey, reverse_ms
from scheduler.stores.runs.open_runs import AlreadyClaimed, Claim, decode_unfinished, list_history_between

MAX_DUE_SPAN = timedelta(minutes=1)
"""Between the first and the last due instant: in a longer time, too many other runs may have finished."""


async def find_existing(store: Store, keys: Sequence[RunKey]) -> Mapping[RunKey, RunRecord]:
    """Return the records of those runs that exist. The record of a finished one has no run, which would cost a read.

    Existing runs may be missing if their instants are too far apart.
    """
    requested = set(keys)
    instants = [key.due_at for key in requested]
    if not requested or max(instants) - min(instants) > MAX_DUE_SPAN:
        return {}
    newest, oldest = reverse_ms(max(instants)), reverse_ms(min(instants))
    shards = sorted({key.shard for key in requested})
    done, open_ = await asyncio.gather(
        asyncio.gather(
            *(
                list_history_between(
                    store, shard, DONE_PREFIX + newest, DONE_PREFIX + oldest + PREFIX_END, bodies=False
                )
                for shard in shards
            )
        ),
        asyncio.gather(
            *(list_history_between(store, shard, OPEN_PREFIX, OPEN_PREFIX + PREFIX_END) for shard in shards)
        ),
    )
    found = {RunKey.for_ticket(record.ticket): record for rows in open_ for record in decode_unfinished(rows)}
    # A run that was open a moment ago may be finished now, but not the reverse.
    found |= {key: finished_record(key) for rows in done for key in (RunKey.from_row_key(row.key) for row in rows)}
    return {key: record for key, record in found.items() if key in requested}


CLAIMS_PER_TRANSACTION = MAX_ATOMIC_GROUP // 2
"""Runs that one transaction claims. A larger batch first checks which of its runs exist."""
_MAX_TRIES = 4
"""Of one claim, when other processes change the run between the read and the write."""


_Answers = dict[int, Claim | AlreadyClaimed | StoreError]
"""The results by the number of the request, which the steps of a batch fill in."""


@dataclass(slots=True)
class _ClaimAttempt:
    """A ticket that is being claimed. `body`: of its new row. `existing`: the record to replace; None: a new run."""

    ticket: Ticket
    lease_until: datetime
    key: RunKey
    body: str
    existing: RunRecord | None = None

    def changes(self) -> Sequence[Change]:
        return (
            insert_open_changes(self.key, self.body)
            if self.existing is None
            else replace_open_changes(self.key, self.body, self.existing.etag)
        )

    def claim(self, owner: str, etag: str) -> Claim:
        # A running run is claimable only if its lease has expired: its process died.
        is_takeover = self.existing is not None and self.existing.state is RunState.RUNNING
        return Claim(self.ticket, owner, self.lease_until, etag, is_takeover=is_takeover)


class RunClaims:
    """Claims the runs of tickets in one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def claim_all(
        self, requests: Sequence[tuple[Ticket, datetime]], owner: str, now: datetime
    ) -> Sequence[Claim | AlreadyClaimed | StoreError]:
        """Claim each ticket, with its own lease; results in the same order. One failure does not affect others."""
        answers: _Answers = {}
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
        answers: _Answers,
    ) -> None:
        """Claim all, and answer each. A claim that the store refused, because the run exists or has changed, is tried
        again with the record of the run if that is claimable."""
        tries = 0
        while trying and tries < _MAX_TRIES:
            tries += 1
            results = await self._store.apply_each([attempt.changes() for attempt in trying.values()])
            refused: dict[int, _ClaimAttempt] = {}
            for (number, attempt), result in zip(trying.items(), results, strict=True):
                if not isinstance(result, StoreError):
                    answers[number] = attempt.claim(owner, result[0])
                elif isinstance(result, RowExists | RowChanged):
                    refused[number] = attempt
                else:
                    answers[number] = result
            trying = await self._select_claimable(refused, now, answers) if refused else {}

    async def _exclude_existing(
        self,
        attempts: Mapping[int, _ClaimAttempt],
        owner: str,
        now: datetime,
        answers: _Answers,
    ) -> dict[int, _ClaimAttempt]:
        """Return those that are still to be claimed, and answer the others.

        A message may be delivered twice: then the first and the last of its runs exist, and most others, too. Finding
        that out by claiming each would cost a request for each.
        """
        first, last = min(attempts), max(attempts)
        await self._claim_attempts({number: attempts[number] for number in (first, last)}, owner, now, answers)
        rest = {number: attempt for number, attempt in attempts.items() if number not in (first, last)}
        if not (isinstance(answers[first], AlreadyClaimed) or isinstance(answers[last], AlreadyClaimed)):
            return rest
        try:
            existing = await find_existing(self._store, [attempt.key for attempt in rest.values()])
        except StoreError as error:
            answers |= dict.fromkeys(rest, error)
            return {}
        claimable: dict[int, _ClaimAttempt] = {}
        for number, attempt in rest.items():
            record = existing.get(attempt.key)
            if record is None or (record.state is not RunState.FINISHED and _is_claimable(record, now)):
                claimable[number] = attempt
            else:
                answers[number] = AlreadyClaimed(record)
        return claimable

    async def _select_claimable(
        self,
        refused: Mapping[int, _ClaimAttempt],
        now: datetime,
        answers: _Answers,
    ) -> dict[int, _ClaimAttempt]:
        """Of tickets whose runs exist, return those that can be claimed; the others are answered."""
        records = await asyncio.gather(*(self._read_record(attempt.key) for attempt in refused.values()))
        claimable: dict[int, _ClaimAttempt] = {}
        for (number, attempt), record in zip(refused.items(), records, strict=True):
            if isinstance(record, StoreError):
                answers[number] = record
                continue
            # The answer unless another try follows.
            answers[number] = AlreadyClaimed(record)
            if _is_claimable(record, now):
                attempt.existing = record
                claimable[number] = attempt
        return claimable

    async def _read_record(self, key: RunKey) -> RunRecord | StoreError:
        """Return the record of a run that existed a moment ago."""
        row = await read_run_row(self._store, key)
        if row is None:
            return RowChanged(HISTORY_TABLE, key.shard, key.run_key)
        return row if isinstance(row, StoreError) else decode_record(row)


def _is_claimable(record: RunRecord, now: datetime) -> bool:
    """Return whether the run is queued, or running with an expired lease."""
    if record.state is RunState.RUNNING:
        return record.lease_until is None or record.lease_until <= now
    return record.state is RunState.QUEUED
