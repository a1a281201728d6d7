"""Runs: who may perform one, how it ended, how they are found again. Written once above the port.

Used by worker, queue_work, tick_work, operations, queries and the hosts. The life of a run in the store:

    enqueue -> QUEUED -> claim -> RUNNING -> finish -> FINISHED -> prune
               (a scheduled run is claimed without being queued first; one that is left out is recorded at once)

Its pointer in TIMELINE under "open" is written before the run's own row and deleted after all else, so it is a note of
what is under way: what a crash leaves half done (on Azure; SQLite leaves nothing) is found by it and put right by
`claim` and `unfinished`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from jobs.runs import Outcome, Run, Ticket
from scheduler.stores.claims import Claim, ClaimLost, End, Held, OpenRun
from scheduler.stores.port import (
    LARGEST_PAGE,
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
from scheduler.stores.run_codec import Record, RunState, decode, encode_finished, encode_open
from scheduler.stores.run_keys import DAYS, OPEN, RUNS, TIMELINE, RunKey, day_key, day_of
from scheduler.stores.run_latest import LatestRuns
from scheduler.stores.run_pages import RunPage, RunPages, read_open
from scheduler.stores.run_retention import Retention

__all__ = [
    "RUN_FILTERS",
    "Claim",
    "ClaimLost",
    "End",
    "Held",
    "OpenRun",
    "Record",
    "RunPage",
    "RunState",
    "Runs",
]

RUN_FILTERS: tuple[str, ...] = (*Outcome, RunState.RUNNING, RunState.QUEUED)
"""What `Runs.list` takes as `outcome`."""

_UNTOLD = "untold"
"""Partition of TIMELINE: pointers to finished runs that are not settled."""
_TRIES = 3
"""Of a claim, when others change the run between reading and writing."""


class Runs:
    """All methods raise StoreUnavailable when the store is away.

    `queues_as` marks what this process queues, so that others leave it to it while it lives.
    """

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic, queues_as: str = "") -> None:
        self._queues_as = queues_as
        self._store = store
        self._pages = RunPages(store)
        self._latest = LatestRuns(store, monotonic)
        self._retention = Retention(store)
        self._noted_day = ""

    async def enqueue(self, ticket: Ticket) -> Record:
        """Remember a run that is to happen. Returns the record that is there, if there is one."""
        key = RunKey.of(ticket)
        try:
            etag = await self._insert(key, encode_open(ticket, RunState.QUEUED, self._queues_as))
        except RowExists:
            return await self._existing(key)
        return Record(ticket, RunState.QUEUED, self._queues_as, None, None, etag)

    async def claim(self, ticket: Ticket, owner: str, lease_until: datetime, now: datetime) -> Claim | Held:
        """Make the run `owner`'s until `lease_until`: one that is new, queued, or whose owner's lease has ended.

        Exactly one of any number of claims at a time succeeds, whichever process they come from.

        Raises:
            ValueError: the due instant lies outside of the years 1970 to 2286.
        """
        key = RunKey.of(ticket)
        body = encode_open(ticket, RunState.RUNNING, owner, lease_until)
        try:
            return Claim(ticket, owner, lease_until, await self._insert(key, body))
        except RowExists:
            record = await self._existing(key)
        for _ in range(_TRIES):
            if not _claimable(record, now):
                break
            try:
                (etag,) = await self._store.apply(Replace(RUNS, key.job, key.key, body, record.etag))
            except RowChanged:
                record = await self._existing(key)
            else:
                return Claim(ticket, owner, lease_until, etag, taken_over=record.state is RunState.RUNNING)
        return Held(record)

    async def claim_all(
        self, wanted: Sequence[tuple[Ticket, datetime]], owner: str, now: datetime
    ) -> Sequence[Claim | Held | StoreError]:
        """`claim` for each ticket, with the lease beside it; answers in the same order. One's failure is its own."""

        async def one(ticket: Ticket, lease_until: datetime) -> Claim | Held | StoreError:
            try:
                return await self.claim(ticket, owner, lease_until, now)
            except StoreError as error:
                return error
            except ValueError as error:
                return StoreError(str(error))

        return await asyncio.gather(*(one(ticket, lease_until) for ticket, lease_until in wanted))

    async def renew_all(self, claims: Sequence[Claim], lease_until: datetime) -> Sequence[Claim | StoreError]:
        """Give the claims a later lease. Answers in the same order: the claim to go on with, or why there is none.

        ClaimLost is among the answers where the run is not its owner's any more.
        """

        async def one(claim: Claim) -> Claim | StoreError:
            body = encode_open(claim.ticket, RunState.RUNNING, claim.owner, lease_until)
            try:
                return replace(claim, lease_until=lease_until, etag=await self._change(claim, body))
            except StoreError as error:
                return error

        return await asyncio.gather(*(one(claim) for claim in claims))

    async def put_back(self, claim: Claim) -> Record:
        """Give the run up without an end: it is queued again, for anybody to claim.

        Raises:
            ClaimLost: it is not its owner's any more.
        """
        etag = await self._change(claim, encode_open(claim.ticket, RunState.QUEUED))
        return Record(claim.ticket, RunState.QUEUED, "", None, None, etag)

    async def withdraw(self, claim: Claim) -> None:
        """As if the run had never been claimed: it has not begun, its lease goes on, and it will be planned again."""
        key = RunKey.of(claim.ticket)
        await self._store.apply(Delete(RUNS, key.job, key.key), Delete(TIMELINE, OPEN, key.pointer))

    async def finish(self, claim: Claim, run: Run, *, settled: bool = True) -> None:
        """Store how the claimed run ended. May be repeated with the same run after StoreUnavailable.

        The claim may be one from before a renewal. Not `settled`: `untold` gives the run until `settle`.

        Raises:
            ClaimLost: the lease ended and another owner took the run over, or it was deleted; nothing was stored.
        """
        key = RunKey.of(claim.ticket)
        body = encode_finished(run)
        if not settled:
            await self._store.apply(Put(TIMELINE, _UNTOLD, key.pointer, "{}"))
        etag = await self._change(claim, body, *self._ending(key, run))
        self._note(Row(key.job, key.key, body, etag), key, run)

    async def finish_all(self, ends: Sequence[End]) -> Sequence[StoreError | None]:
        """`finish` for each; answers in the same order: None, or what `finish` raises."""

        async def one(end: End) -> StoreError | None:
            try:
                await self.finish(end.claim, end.run, settled=end.settled)
            except StoreError as error:
                return error
            return None

        return await asyncio.gather(*(one(end) for end in ends))

    async def settle(self, *runs: Run) -> None:
        """What was to follow from these runs, finished with settled=False, has happened. May be repeated."""
        keys = [RunKey.of(Ticket(run.id, run.job, run.trigger, run.due_at)) for run in runs]
        await self._store.apply(*(Delete(TIMELINE, _UNTOLD, key.pointer) for key in keys))

    async def record(self, ticket: Ticket, run: Run) -> Record | None:
        """Store a run that nobody has to perform, such as one that is left out: it is finished from the start.

        So no crash leaves a claim behind. Returns None, or the record that is there already, in whatever state.
        """
        key = RunKey.of(ticket)
        body = encode_finished(run)
        pointer, row = Put(TIMELINE, OPEN, key.pointer, "{}"), Insert(RUNS, key.job, key.key, body)
        try:
            _, etag, *_ = await self._store.apply(pointer, row, *self._ending(key, run))
        except RowExists:
            return await self._existing(key)
        self._note(Row(key.job, key.key, body, etag), key, run)
        return None

    async def get(self, run_id: str) -> Record | None:
        """None if there is no such run, or it is no run id."""
        key = RunKey.find(run_id)
        row = await self._store.get(RUNS, key.job, key.key) if key is not None else None
        return None if row is None else decode(row)

    async def list(
        self, job: str | None = None, outcome: str | None = None, limit: int = 50, continuation: str | None = None
    ) -> RunPage:
        """Runs, newest due instant first; over all jobs, those that are queued or running come before the others.

        `outcome` is one of RUN_FILTERS. A call looks at a bounded number of rows, so a page may hold fewer than `limit`
        (even none) and yet have a continuation.

        Raises:
            ValueError: an unknown outcome, a limit below 1, or a continuation that no such list has given.
        """
        if outcome is not None and outcome not in RUN_FILTERS:
            raise ValueError(f"{outcome!r} is none of {', '.join(RUN_FILTERS)}")
        return await self._pages.page(job, outcome, limit, continuation)

    async def states_between(self, job: str, since: datetime, until: datetime) -> Mapping[str, str]:
        """The job's runs that were due in [since, until], by id: the outcome, or the state of one that is not finished.

        Raises:
            ValueError: an instant lies outside of the years 1970 to 2286.
        """
        return await self._pages.states_between(job, since, until)

    async def unfinished(self) -> Sequence[Record]:
        """Every run that is queued or running, newest first. Puts right what a crash left half finished."""
        found = []
        after = ""
        while rows := await self._store.list(TIMELINE, OPEN, after=after, limit=100):
            for record in await read_open(self._store, rows):
                if record.run is None:
                    found.append(record)
                else:
                    await self._end(record.run, record.ticket)
            after = rows[-1].key
        return found

    async def untold(self) -> Sequence[Run]:
        """Finished runs that were never settled, newest first: what was to follow from them may not have happened."""
        found: list[Run] = []
        after = ""
        while rows := await self._store.list(TIMELINE, _UNTOLD, after=after, limit=100):
            records = await read_open(self._store, rows)
            found += (record.run for record in records if record.run is not None)
            after = rows[-1].key
        return found

    async def open_runs(self) -> Sequence[OpenRun]:
        """Every run that is queued or running, newest due instant first."""
        return [
            OpenRun(found.ticket.id, found.ticket.job, found.ticket.due_at, found.owner, found.lease_until)
            for found in await self.unfinished()
        ]

    async def open_runs_of(self, job: str) -> Sequence[OpenRun]:
        """The job's runs that are queued or running, newest due instant first."""
        return [found for found in await self.open_runs() if found.job == job]

    async def running(self, job: str) -> Sequence[Record]:
        """The job's runs that are claimed, newest first; the lease of some may have ended."""
        pointers: list[Row] = []
        after = ""
        while rows := await self._store.list(TIMELINE, OPEN, after=after, limit=LARGEST_PAGE, bodies=False):
            pointers += (row for row in rows if RunKey.of_pointer(row.key).job == job)
            after = rows[-1].key
        records = await read_open(self._store, pointers)
        return [record for record in records if record.state is RunState.RUNNING]

    async def latest(self, job: str, *, fresh: bool = False) -> Record | None:
        """The job's newest finished run; `fresh`: as the store has it now, whoever finished it."""
        if fresh:
            return await self._latest.read(job)
        return (await self.latest_of([job])).get(job)

    async def latest_of(self, jobs: Iterable[str]) -> dict[str, Record]:
        """The newest finished run of each job that has one. What other processes finished may be missed for 5 s."""
        return await self._latest.of(jobs)

    async def prune(self, now: datetime, age_s: float, runs_per_job: int) -> int:
        """Delete runs that were due more than `age_s` seconds ago, and those beyond the newest `runs_per_job` of a job.

        Returns how many. Works in small batches. The second rule is applied to jobs of which this process has finished
        runs, and only after every `runs_per_job / 10` of them: a job may have a tenth more for a while.
        """
        return await self._retention.prune(now, age_s, runs_per_job)

    def _note(self, row: Row, key: RunKey, run: Run) -> None:
        """This process has finished the run."""
        if key.day == day_of(run.finished_at):
            self._noted_day = key.day
        self._latest.note(row)
        self._retention.count(key.job)

    async def _insert(self, key: RunKey, body: str) -> str:
        _, etag = await self._store.apply(Put(TIMELINE, OPEN, key.pointer, "{}"), Insert(RUNS, key.job, key.key, body))
        return etag

    async def _change(self, claim: Claim, body: str, *following: Change) -> str:
        """Write this into the claimed run, if it is still its owner's, and what follows. Returns the run's etag."""
        key = RunKey.of(claim.ticket)
        etag = claim.etag
        for _ in range(_TRIES):
            try:
                etag, *_ = await self._store.apply(Replace(RUNS, key.job, key.key, body, etag), *following)
                return etag
            except RowChanged:
                row = await self._store.get(RUNS, key.job, key.key)
            if row is not None and row.body == body:
                # An earlier try got that far before the store went away.
                await self._store.apply(*following)
                return row.etag
            record = None if row is None else decode(row)
            if record is None or (record.state, record.owner) != (RunState.RUNNING, claim.owner):
                break
            etag = record.etag  # renewed meanwhile
        raise ClaimLost(claim.ticket.id, claim.owner)

    async def _existing(self, key: RunKey) -> Record:
        row = await self._store.get(RUNS, key.job, key.key)
        if row is None:
            raise RowChanged(RUNS, key.job, key.key)
        record = decode(row)
        if record.run is not None:
            # On Azure the insert that just failed wrote the pointer first; and the finish may have been cut short.
            await self._end(record.run, record.ticket)
        return record

    async def _end(self, run: Run, ticket: Ticket) -> None:
        await self._store.apply(*self._ending(RunKey.of(ticket), run))

    def _ending(self, key: RunKey, run: Run) -> Sequence[Change]:
        """What makes a finished run one of its day's, and no longer one of the open ones."""
        changes: list[Change] = []
        # A day's row is written once by each process, unless the run is of a day that may have been pruned since.
        if not (key.day == self._noted_day == day_of(run.finished_at)):
            changes.append(Put(TIMELINE, DAYS, day_key(key.day), "{}"))
        changes.append(Put(TIMELINE, key.day, key.pointer, f'"{run.outcome}"'))
        changes.append(Delete(TIMELINE, OPEN, key.pointer))
        return changes


def _claimable(record: Record, now: datetime) -> bool:
    if record.state is RunState.RUNNING:
        return record.lease_until is None or record.lease_until <= now
    return record.state is RunState.QUEUED
