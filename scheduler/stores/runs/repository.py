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
from jobs.runs.uptime import UptimeSample, UptimeSegment
from scheduler.stores.port import Delete, Insert, Row, RowChanged, RowExists, Store, StoreError
from scheduler.stores.runs.claims import AlreadyClaimed, Claim, ClaimLost, OpenRun, RunResult
from scheduler.stores.runs.codec import RunRecord, RunState, decode_record, encode_open
from scheduler.stores.runs.hourly_rollup import HourlyRollups
from scheduler.stores.runs.keys import HISTORY_TABLE, DueRange, RunKey
from scheduler.stores.runs.latest_cache import LatestRunCache
from scheduler.stores.runs.open_index import (
    decode_unfinished,
    is_unfinished,
    list_open_keys,
    list_open_rows,
    list_open_rows_of_jobs,
    read_records,
    to_open_run,
)
from scheduler.stores.runs.pages import RunPage, RunPager
from scheduler.stores.runs.retention import RunRetention
from scheduler.stores.runs.takeover import finish_open_all, iterate_open_pages, take_over_all
from scheduler.stores.runs.transitions import RunTransitions, done_pointer, encode_to_fit, insert_open_changes

__all__ = [
    "RUN_FILTERS",
    "AlreadyClaimed",
    "Claim",
    "ClaimLost",
    "OpenRun",
    "RunPage",
    "RunRecord",
    "RunResult",
    "RunState",
    "Runs",
]

RUN_FILTERS: tuple[str, ...] = (*Outcome, RunState.RUNNING, RunState.QUEUED)
"""What `Runs.list_page` takes as `outcome`."""
RUN_READS_AT_ONCE = 200
"""Rows that are read side by side: of more of them, other readers would wait for all."""


class Runs:
    """All methods raise StoreUnavailable when the store is away.

    `queues_as` marks what this process queues, so that others leave it to it while it lives.
    """

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic, queues_as: str = "") -> None:
        self._queues_as = queues_as
        self._store = store
        self._steps = RunTransitions(store)
        self._pages = RunPager(store)
        self._latest = LatestRunCache(store, monotonic)
        self._hours = HourlyRollups(store)
        self._retention = RunRetention(store)

    async def enqueue(self, ticket: Ticket) -> RunRecord:
        """Remember a run that is to happen. Returns the record that is there, if there is one."""
        key = RunKey.for_ticket(ticket)
        try:
            etag, _ = await self._store.apply(
                *insert_open_changes(key, encode_open(ticket, RunState.QUEUED, self._queues_as))
            )
        except RowExists:
            return await self._read_existing(key)
        return RunRecord(ticket, RunState.QUEUED, self._queues_as, None, None, etag)

    async def claim(self, ticket: Ticket, owner: str, lease_until: datetime, now: datetime) -> Claim | AlreadyClaimed:
        """Make the run `owner`'s until `lease_end`: one that is new, queued, or whose owner's lease has ended.

        Exactly one of any number of claims at a time succeeds, whichever process they come from.

        Raises:
            ValueError: the due instant lies outside of the years 1970 to 2286.
        """
        (answer,) = await self._steps.claim_all([(ticket, lease_until)], owner, now)
        if isinstance(answer, StoreError):
            RunKey.for_ticket(ticket)  # raises if that is the reason
            raise answer
        return answer

    async def claim_all(
        self, requests: Sequence[tuple[Ticket, datetime]], owner: str, now: datetime
    ) -> Sequence[Claim | AlreadyClaimed | StoreError]:
        """`claim` for each ticket, with the lease beside it; answers in the same order. One's failure is its own."""
        return await self._steps.claim_all(requests, owner, now)

    async def renew_all(self, claims: Sequence[Claim], lease_until: datetime) -> Sequence[Claim | StoreError]:
        """Give the claims a later lease. Answers in the same order: the claim to go on with, or why there is none.

        ClaimLost is among the answers where the run is not its owner's any more.
        """
        return await self._steps.renew_all(claims, lease_until)

    async def release(self, claim: Claim) -> RunRecord:
        """Give the run up without an end: it is queued again, for anybody to claim.

        Raises:
            ClaimLost: it is not its owner's any more.
        """
        return await self._steps.release(claim)

    async def delete_claimed(self, claim: Claim) -> None:
        """As if the run had never been claimed: it has not begun, its lease goes on, and it will be planned again."""
        key = RunKey.for_ticket(claim.ticket)
        await self._store.apply(*(Delete(HISTORY_TABLE, key.shard, row) for row in (key.run_key, key.open_key)))

    async def finish(self, claim: Claim, run: Run, *, acknowledged: bool = True) -> None:
        """Store how the claimed run ended. May be repeated with the same run after StoreUnavailable.

        The claim may be one from before a renewal. Not `settled`: `untold` gives the run until `settle`.

        Raises:
            ClaimLost: the lease ended and another owner took the run over, or it was deleted; nothing was stored.
        """
        (error,) = await self.finish_all([RunResult(claim, run, acknowledged)])
        if error is not None:
            raise error

    async def finish_all(self, results: Sequence[RunResult]) -> Sequence[StoreError | None]:
        """`finish` for each; answers in the same order: None, or what `finish` raises."""
        rows = await self._steps.finish_all(results)
        for end, row in zip(results, rows, strict=True):
            if not isinstance(row, StoreError):
                self._register_finished(end.claim.ticket.job, row)
        return [row if isinstance(row, StoreError) else None for row in rows]

    async def acknowledge(self, *runs: Run) -> None:
        """What was to follow from these runs, finished with settled=False, has happened. May be repeated."""
        keys = [RunKey.for_ticket(run) for run in runs]
        for answer in await self._store.apply_each([[Delete(HISTORY_TABLE, key.shard, key.open_key)] for key in keys]):
            if isinstance(answer, StoreError):
                raise answer

    async def insert_finished(self, ticket: Ticket, run: Run) -> RunRecord | None:
        """Store a run that nobody has to perform, such as one that is left out: it is finished from the start.

        So no crash leaves a claim behind. Returns None, or the record that is there already, in whatever state.
        """
        key = RunKey.for_ticket(ticket)
        body = encode_to_fit(run)
        try:
            etag, _ = await self._store.apply(
                Insert(HISTORY_TABLE, key.shard, key.run_key, body), done_pointer(key, run)
            )
        except RowExists:
            return await self._read_existing(key)
        self._register_finished(key.job, Row(key.shard, key.run_key, body, etag))
        return None

    async def find(self, run_id: str) -> RunRecord | None:
        """None if there is no such run, or it is no run id."""
        key = RunKey.from_run_id(run_id)
        row = await self._store.get_row(HISTORY_TABLE, key.shard, key.run_key) if key is not None else None
        return None if row is None else decode_record(row)

    async def list_page(
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
        return await self._pages.read_page(job, outcome, limit, continuation, DueRange(since, until))

    async def list_states_between(self, job: str, since: datetime, until: datetime) -> Mapping[str, str]:
        """The job's runs that were due in [since, until], by id: the outcome, or the state of one that is not finished.

        Raises:
            ValueError: an instant lies outside of the years 1970 to 2286.
        """
        return await self._pages.list_states_between(job, since, until)

    async def list_uptime_samples(self, job: str, limit: int) -> tuple[Sequence[tuple[datetime, UptimeSample]], bool]:
        """When the newest `most` runs of the job began and what they say, oldest first; and whether there are no more.

        Those that are not finished, were skipped or cancelled, and backfills, say nothing.
        """
        return await self._pages.list_uptime_samples(job, limit)

    async def list_hourly_rollups(self, job: str) -> Sequence[UptimeSegment]:
        """What those runs of the job have said that were deleted because there are newer ones; oldest first."""
        return await self._hours.list_of_job(job)

    async def list_unfinished(self) -> Sequence[RunRecord]:
        """Every run that is queued or running, newest first."""
        return decode_unfinished(await list_open_rows(self._store))

    async def list_unacknowledged(self) -> Sequence[Run]:
        """Finished runs that were never settled, newest first: what was to follow from them may not have happened."""
        pointers = [row for row in await list_open_rows(self._store) if not is_unfinished(row)]
        return await self.read_finished([RunKey.from_row_key(row.key) for row in pointers])

    async def read_finished(self, keys: Sequence[RunKey]) -> Sequence[Run]:
        """Those of these runs that are finished, in the same order."""
        found: list[RunRecord] = []
        for start in range(0, len(keys), RUN_READS_AT_ONCE):
            found += await read_records(self._store, keys[start : start + RUN_READS_AT_ONCE])
        return [record.run for record in found if record.run is not None]

    def iterate_open_pages(self) -> AsyncIterator[Sequence[Row]]:
        """The pointers of all open runs, see run_takeover.open_pages; `decode` reads one that is queued or running."""
        return iterate_open_pages(self._store)

    async def take_over_all(
        self, requests: Sequence[tuple[RunRecord, datetime]], owner: str
    ) -> Sequence[Claim | StoreError | None]:
        """Claim runs that are listed as open, whoever has them, each with its lease; answers in the same order.

        None: the run has changed since it was listed, and is left alone. One's failure is its own.
        """
        return await take_over_all(self._store, requests, owner)

    async def finish_open_all(self, ended: Sequence[tuple[RunRecord, Run]]) -> Sequence[StoreError | bool]:
        """Finish runs that are listed as open, whoever has them, not settled; answers in the same order.

        True: it is finished; False: it has changed since it was listed, and is left alone. One's failure is its own.
        """
        answers: list[StoreError | bool] = []
        for (record, _), row in zip(ended, await finish_open_all(self._store, ended), strict=True):
            if isinstance(row, Row):
                self._register_finished(record.ticket.job, row)
            answers.append(row if isinstance(row, StoreError) else row is not None)
        return answers

    async def list_open(self) -> Sequence[OpenRun]:
        """Every run that is queued or running, newest due instant first."""
        return [to_open_run(record) for record in await self.list_unfinished()]

    async def list_open_of_jobs(self, *jobs: str) -> Sequence[OpenRun]:
        """The runs of jobs of one shard that are queued or running; of each job newest due instant first."""
        found = decode_unfinished(await list_open_rows_of_jobs(self._store, *jobs))
        return [to_open_run(record) for record in found if record.ticket.job in jobs]

    async def list_open_keys(self, shard: str) -> Sequence[RunKey]:
        """The keys of the runs of a shard's jobs that are queued, running, or finished and not settled.

        No bodies are read, so this costs little, however many there are.
        """
        return await list_open_keys(self._store, shard)

    async def list_running(self, job: str) -> Sequence[RunRecord]:
        """The job's runs that are claimed, newest first; the lease of some may have ended."""
        records = decode_unfinished(await list_open_rows_of_jobs(self._store, job))
        return [record for record in records if record.state is RunState.RUNNING]

    async def find_latest(self, job: str, *, fresh: bool = False) -> RunRecord | None:
        """The job's newest finished run that is no backfill; `fresh`: as the store has it now, whoever finished it."""
        if fresh:
            return await self._latest.read_newest(job)
        return (await self.find_latest_of_jobs([job])).get(job)

    async def find_latest_of_jobs(self, jobs: Iterable[str]) -> dict[str, RunRecord]:
        """The newest finished run, no backfill, of each job that has one. What other processes finished may be
        missed for 5 s."""
        return await self._latest.find_all(jobs)

    async def prune(self, now: datetime, age_s: float, runs_per_job: int) -> int:
        """Delete runs that were due more than `age_s` seconds ago, and those beyond the newest `runs_per_job` of a job.

        Returns how many. Works in small batches. The second rule is applied to jobs of which this process has finished
        runs, and only after every `runs_per_job / 10` of them: a job may have a tenth more for a while. What the runs
        have said that were too many stays: see `hours`.
        """
        return await self._retention.prune(now, age_s, runs_per_job)

    def _register_finished(self, job: str, row: Row) -> None:
        """This process has finished the run."""
        self._latest.update(job, row)
        self._retention.count_finished(job)

    async def _read_existing(self, key: RunKey) -> RunRecord:
        row = await self._store.get_row(HISTORY_TABLE, key.shard, key.run_key)
        if row is None:
            raise RowChanged(HISTORY_TABLE, key.shard, key.run_key)
        return decode_record(row)
