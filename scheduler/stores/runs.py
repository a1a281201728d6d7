"""Runs: who may perform one, how it ended, how they are found again. Written once above the port.

Used by worker, queue_work, operations, queries and the hosts. The life of a run in the store:

    enqueue -> QUEUED -> claim -> RUNNING -> finish -> FINISHED -> (settle) -> prune
                 ^----- put_back ----'
               (a scheduled run is claimed without being queued first; one that is left out is recorded at once)

Each of these is all or none on every store (run_steps); what is open is found by its pointer (run_open).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime

from jobs.runs import Outcome, Run, Ticket
from jobs.uptime import Look, Stretch
from scheduler.stores.claims import Claim, ClaimLost, End, Held, OpenRun
from scheduler.stores.port import Delete, Insert, Row, RowChanged, RowExists, Store, StoreError
from scheduler.stores.run_codec import Record, RunState, decode, encode_open
from scheduler.stores.run_hours import RunHours
from scheduler.stores.run_keys import HISTORY, DueRange, RunKey
from scheduler.stores.run_latest import LatestRuns
from scheduler.stores.run_open import (
    is_unfinished,
    open_keys,
    open_rows,
    open_rows_of,
    open_run,
    read_runs,
    unfinished_records,
)
from scheduler.stores.run_pages import RunPage, RunPages
from scheduler.stores.run_retention import Retention
from scheduler.stores.run_steps import RunSteps, begun, done, finished_body
from scheduler.stores.run_takeover import end_all, open_pages, take_over_all

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
READ_AT_ONCE = 200
"""Rows that are read side by side: of more of them, other readers would wait for all."""


class Runs:
    """All methods raise StoreUnavailable when the store is away.

    `queues_as` marks what this process queues, so that others leave it to it while it lives.
    """

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic, queues_as: str = "") -> None:
        self._queues_as = queues_as
        self._store = store
        self._steps = RunSteps(store)
        self._pages = RunPages(store)
        self._latest = LatestRuns(store, monotonic)
        self._hours = RunHours(store)
        self._retention = Retention(store)

    async def enqueue(self, ticket: Ticket) -> Record:
        """Remember a run that is to happen. Returns the record that is there, if there is one."""
        key = RunKey.of(ticket)
        try:
            etag, _ = await self._store.apply(*begun(key, encode_open(ticket, RunState.QUEUED, self._queues_as)))
        except RowExists:
            return await self._existing(key)
        return Record(ticket, RunState.QUEUED, self._queues_as, None, None, etag)

    async def claim(self, ticket: Ticket, owner: str, lease_until: datetime, now: datetime) -> Claim | Held:
        """Make the run `owner`'s until `lease_until`: one that is new, queued, or whose owner's lease has ended.

        Exactly one of any number of claims at a time succeeds, whichever process they come from.

        Raises:
            ValueError: the due instant lies outside of the years 1970 to 2286.
        """
        (answer,) = await self._steps.claim_all([(ticket, lease_until)], owner, now)
        if isinstance(answer, StoreError):
            RunKey.of(ticket)  # raises if that is the reason
            raise answer
        return answer

    async def claim_all(
        self, wanted: Sequence[tuple[Ticket, datetime]], owner: str, now: datetime
    ) -> Sequence[Claim | Held | StoreError]:
        """`claim` for each ticket, with the lease beside it; answers in the same order. One's failure is its own."""
        return await self._steps.claim_all(wanted, owner, now)

    async def renew_all(self, claims: Sequence[Claim], lease_until: datetime) -> Sequence[Claim | StoreError]:
        """Give the claims a later lease. Answers in the same order: the claim to go on with, or why there is none.

        ClaimLost is among the answers where the run is not its owner's any more.
        """
        return await self._steps.renew_all(claims, lease_until)

    async def put_back(self, claim: Claim) -> Record:
        """Give the run up without an end: it is queued again, for anybody to claim.

        Raises:
            ClaimLost: it is not its owner's any more.
        """
        return await self._steps.put_back(claim)

    async def withdraw(self, claim: Claim) -> None:
        """As if the run had never been claimed: it has not begun, its lease goes on, and it will be planned again."""
        key = RunKey.of(claim.ticket)
        await self._store.apply(*(Delete(HISTORY, key.shard, row) for row in (key.run, key.open)))

    async def finish(self, claim: Claim, run: Run, *, settled: bool = True) -> None:
        """Store how the claimed run ended. May be repeated with the same run after StoreUnavailable.

        The claim may be one from before a renewal. Not `settled`: `untold` gives the run until `settle`.

        Raises:
            ClaimLost: the lease ended and another owner took the run over, or it was deleted; nothing was stored.
        """
        (error,) = await self.finish_all([End(claim, run, settled)])
        if error is not None:
            raise error

    async def finish_all(self, ends: Sequence[End]) -> Sequence[StoreError | None]:
        """`finish` for each; answers in the same order: None, or what `finish` raises."""
        rows = await self._steps.finish_all(ends)
        for end, row in zip(ends, rows, strict=True):
            if not isinstance(row, StoreError):
                self._note(end.claim.ticket.job, row)
        return [row if isinstance(row, StoreError) else None for row in rows]

    async def settle(self, *runs: Run) -> None:
        """What was to follow from these runs, finished with settled=False, has happened. May be repeated."""
        keys = [RunKey.of(run) for run in runs]
        for answer in await self._store.apply_each([[Delete(HISTORY, key.shard, key.open)] for key in keys]):
            if isinstance(answer, StoreError):
                raise answer

    async def record(self, ticket: Ticket, run: Run) -> Record | None:
        """Store a run that nobody has to perform, such as one that is left out: it is finished from the start.

        So no crash leaves a claim behind. Returns None, or the record that is there already, in whatever state.
        """
        key = RunKey.of(ticket)
        body = finished_body(run)
        try:
            etag, _ = await self._store.apply(Insert(HISTORY, key.shard, key.run, body), done(key, run))
        except RowExists:
            return await self._existing(key)
        self._note(key.job, Row(key.shard, key.run, body, etag))
        return None

    async def get(self, run_id: str) -> Record | None:
        """None if there is no such run, or it is no run id."""
        key = RunKey.find(run_id)
        row = await self._store.get(HISTORY, key.shard, key.run) if key is not None else None
        return None if row is None else decode(row)

    async def list(
        self,
        job: str | None = None,
        outcome: str | None = None,
        limit: int = 50,
        continuation: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> RunPage:
        """Runs, newest due instant first; over all jobs, those that are queued or running come before the others.

        `outcome` is one of RUN_FILTERS; `since` and `until` bound the due instant and belong to the interval. The next
        page is asked for with the same ones. A call looks at a bounded number of rows, so a page may hold fewer than
        `limit` (even none) and yet have a continuation.

        Raises:
            ValueError: an unknown outcome, a limit below 1, or a continuation that no such list has given.
        """
        if outcome is not None and outcome not in RUN_FILTERS:
            raise ValueError(f"{outcome!r} is none of {', '.join(RUN_FILTERS)}")
        return await self._pages.page(job, outcome, limit, continuation, DueRange(since, until))

    async def states_between(self, job: str, since: datetime, until: datetime) -> Mapping[str, str]:
        """The job's runs that were due in [since, until], by id: the outcome, or the state of one that is not finished.

        Raises:
            ValueError: an instant lies outside of the years 1970 to 2286.
        """
        return await self._pages.states_between(job, since, until)

    async def looks(self, job: str, most: int) -> tuple[Sequence[tuple[datetime, Look]], bool]:
        """When the newest `most` runs of the job began and what they say, oldest first; and whether there are no more.

        Those that are not finished, were skipped or cancelled, and backfills, say nothing.
        """
        return await self._pages.looks(job, most)

    async def hours(self, job: str) -> Sequence[Stretch]:
        """What those runs of the job have said that were deleted because there are newer ones; oldest first."""
        return await self._hours.of(job)

    async def unfinished(self) -> Sequence[Record]:
        """Every run that is queued or running, newest first."""
        return unfinished_records(await open_rows(self._store))

    async def untold(self) -> Sequence[Run]:
        """Finished runs that were never settled, newest first: what was to follow from them may not have happened."""
        pointers = [row for row in await open_rows(self._store) if not is_unfinished(row)]
        return await self.finished([RunKey.read(row.key) for row in pointers])

    async def finished(self, keys: Sequence[RunKey]) -> Sequence[Run]:
        """Those of these runs that are finished, in the same order."""
        found: list[Record] = []
        for start in range(0, len(keys), READ_AT_ONCE):
            found += await read_runs(self._store, keys[start : start + READ_AT_ONCE])
        return [record.run for record in found if record.run is not None]

    def open_pages(self) -> AsyncIterator[Sequence[Row]]:
        """The pointers of all open runs, see run_takeover.open_pages; `decode` reads one that is queued or running."""
        return open_pages(self._store)

    async def take_over_all(
        self, wanted: Sequence[tuple[Record, datetime]], owner: str
    ) -> Sequence[Claim | StoreError | None]:
        """Claim runs that are listed as open, whoever has them, each with its lease; answers in the same order.

        None: the run has changed since it was listed, and is left alone. One's failure is its own.
        """
        return await take_over_all(self._store, wanted, owner)

    async def end_all(self, ended: Sequence[tuple[Record, Run]]) -> Sequence[StoreError | bool]:
        """Finish runs that are listed as open, whoever has them, not settled; answers in the same order.

        True: it is finished; False: it has changed since it was listed, and is left alone. One's failure is its own.
        """
        answers: list[StoreError | bool] = []
        for (record, _), row in zip(ended, await end_all(self._store, ended), strict=True):
            if isinstance(row, Row):
                self._note(record.ticket.job, row)
            answers.append(row if isinstance(row, StoreError) else row is not None)
        return answers

    async def open_runs(self) -> Sequence[OpenRun]:
        """Every run that is queued or running, newest due instant first."""
        return [open_run(record) for record in await self.unfinished()]

    async def open_runs_of(self, *jobs: str) -> Sequence[OpenRun]:
        """The runs of jobs of one shard that are queued or running; of each job newest due instant first."""
        found = unfinished_records(await open_rows_of(self._store, *jobs))
        return [open_run(record) for record in found if record.ticket.job in jobs]

    async def open_keys(self, shard: str) -> Sequence[RunKey]:
        """The keys of the runs of a shard's jobs that are queued, running, or finished and not settled.

        No bodies are read, so this costs little, however many there are.
        """
        return await open_keys(self._store, shard)

    async def running(self, job: str) -> Sequence[Record]:
        """The job's runs that are claimed, newest first; the lease of some may have ended."""
        records = unfinished_records(await open_rows_of(self._store, job))
        return [record for record in records if record.state is RunState.RUNNING]

    async def latest(self, job: str, *, fresh: bool = False) -> Record | None:
        """The job's newest finished run that is no backfill; `fresh`: as the store has it now, whoever finished it."""
        if fresh:
            return await self._latest.read(job)
        return (await self.latest_of([job])).get(job)

    async def latest_of(self, jobs: Iterable[str]) -> dict[str, Record]:
        """The newest finished run, no backfill, of each job that has one. What other processes finished may be
        missed for 5 s."""
        return await self._latest.of(jobs)

    async def prune(self, now: datetime, age_s: float, runs_per_job: int) -> int:
        """Delete runs that were due more than `age_s` seconds ago, and those beyond the newest `runs_per_job` of a job.

        Returns how many. Works in small batches. The second rule is applied to jobs of which this process has finished
        runs, and only after every `runs_per_job / 10` of them: a job may have a tenth more for a while. What the runs
        have said that were too many stays: see `hours`.
        """
        return await self._retention.prune(now, age_s, runs_per_job)

    def _note(self, job: str, row: Row) -> None:
        """This process has finished the run."""
        self._latest.note(job, row)
        self._retention.count(job)

    async def _existing(self, key: RunKey) -> Record:
        row = await self._store.get(HISTORY, key.shard, key.run)
        if row is None:
            raise RowChanged(HISTORY, key.shard, key.run)
        return decode(row)
