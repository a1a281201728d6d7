"""Runs: their claims and results. Written once above the port.

The life of a run in the store:

    enqueue -> QUEUED -> claim -> RUNNING -> finish -> FINISHED -> (acknowledge) -> prune
                 ^----- release ---'
    (a scheduled run is claimed without being queued first; a skipped one is inserted as finished)

Each transition is atomic on every store (runs.transitions); open runs are found by their pointers (runs.open_runs).

Runs that are old or too many are deleted, their counts remain (runs.rollups). Old runs are found by the oldest pointers
to finished runs, so the cost depends on what expires, not on what is stored. The runs of a job are counted only after a
tenth of the limit was added: ten keys are read for each deleted run. The first count starts at random, so that
processes that live for a shorter time do their share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import randrange
from typing import NamedTuple

from jobs.runs import Run, Ticket
from scheduler.stores.port import MAX_PAGE, Delete, Insert, Row, RowChanged, RowExists, Store, StoreError
from scheduler.stores.rows import PREFIX_END
from scheduler.stores.runs.claiming import RunClaims
from scheduler.stores.runs.codec import (
    RunRecord,
    RunState,
    decode_record,
    done_pointer,
    encode_open,
    encode_to_fit,
    insert_open_changes,
)
from scheduler.stores.runs.keys import (
    DONE_PREFIX,
    HISTORY_TABLE,
    OPEN_PREFIX,
    RUN_PREFIX,
    SHARD_NAMES,
    RunKey,
    instant_before,
    job_prefix,
    reverse_ms,
    shard_of_job,
)
from scheduler.stores.runs.open_runs import (
    AlreadyClaimed,
    Claim,
    ClaimLost,
    OpenRun,
    RunResult,
    is_unfinished,
    list_history_between,
    list_open_rows_of_jobs,
)
from scheduler.stores.runs.pages import JobMatcher, RunPage
from scheduler.stores.runs.reading import RUN_FILTERS, RunReads
from scheduler.stores.runs.rollups.counting import FinishingChanges, RunCounting
from scheduler.stores.runs.rollups.upkeep import ROLLUP_AGE, RollupUpkeep
from scheduler.stores.runs.transitions import RunTransitions, finish_open_all, take_over_all

__all__ = [
    "RUN_FILTERS",
    "AlreadyClaimed",
    "Claim",
    "ClaimLost",
    "JobMatcher",
    "OpenRun",
    "RowNames",
    "RunPage",
    "RunRecord",
    "RunResult",
    "RunState",
    "Runs",
]

DELETE_BATCH = 50
"""Runs deleted at a time: writers wait for milliseconds at most, and with their pointers they are one transaction."""


class RunRetention:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._finished: dict[str, int] = {}
        """Runs of each job since its last count."""
        self._new: list[str] = []
        """Jobs that were never counted."""

    def count_finished(self, job: str) -> None:
        """Register a finished run of the job."""
        finished = self._finished.get(job)
        if finished is None:
            self._new.append(job)
        self._finished[job] = (finished or 0) + 1

    async def prune(self, now: datetime, age_s: float, runs_per_job: int) -> int:
        """Delete runs that are too old, and those beyond the newest `runs_per_job` of a job. Return how many."""
        oldest = instant_before(now, age_s)
        end = reverse_ms(oldest)
        deleted = 0
        for name in SHARD_NAMES:
            deleted += await self._delete_expired_open(name, end)
            deleted += await self._delete_expired(name, end)
        for job in self._jobs_to_count(max(1, runs_per_job // 10)):
            deleted += await self._delete_excess(job, runs_per_job)
        return deleted

    async def _delete_expired_open(self, partition: str, end: str) -> int:
        """Delete the open runs of a shard that were due before the instant of this key.

        An open run of that age is abandoned: it outlived its lease by far, or was queued and never delivered.
        """
        pointers = await list_history_between(self._store, partition, OPEN_PREFIX, OPEN_PREFIX + PREFIX_END)
        expired = [pointer for pointer in pointers if RunKey.from_row_key(pointer.key).at > end]
        for start in range(0, len(expired), DELETE_BATCH):
            some = expired[start : start + DELETE_BATCH]
            runs = [RunKey.from_row_key(pointer.key).run_key for pointer in some if is_unfinished(pointer)]
            await self._delete_rows(partition, [*runs, *(pointer.key for pointer in some)])
        return sum(map(is_unfinished, expired))

    async def _delete_expired(self, partition: str, end: str) -> int:
        """Delete the finished runs of a shard that were due before the instant of this key."""
        deleted = 0
        after = DONE_PREFIX + end
        while rows := await self._store.list_rows(
            HISTORY_TABLE, partition, after=after, until=DONE_PREFIX + PREFIX_END, limit=DELETE_BATCH, bodies=False
        ):
            await self._delete_rows(
                partition, [key for row in rows for key in (RunKey.from_row_key(row.key).run_key, row.key)]
            )
            deleted += len(rows)
            after = rows[-1].key
        return deleted

    def _jobs_to_count(self, step: int) -> list[str]:
        """Return jobs that have at least `step` runs more than at their last count."""
        for job in self._new:
            self._finished[job] += randrange(step)
        self._new.clear()
        grown = [job for job, finished in self._finished.items() if finished >= step]
        for job in grown:
            self._finished[job] = 0
        return grown

    async def _delete_excess(self, job: str, number: int) -> int:
        # Open runs do not count as excess: they will still be finished.
        pointers = await list_open_rows_of_jobs(self._store, job, bodies=False)
        open_runs = {RunKey.from_row_key(row.key) for row in pointers}
        deleted = 0
        partition, until = shard_of_job(job), job_prefix(RUN_PREFIX, job) + PREFIX_END
        after = await self._find_key_of_newest(job, number)
        while after and (
            rows := await self._store.list_rows(
                HISTORY_TABLE, partition, after=after, until=until, limit=DELETE_BATCH, bodies=False
            )
        ):
            over = [key for row in rows if (key := RunKey.from_row_key(row.key)) not in open_runs]
            if over:
                await self._delete_rows(partition, [row for key in over for row in (key.run_key, key.done_key)])
            deleted += len(over)
            after = rows[-1].key
        return deleted

    async def _find_key_of_newest(self, job: str, number: int) -> str:
        """Return the row key of the job's `number`th newest run; "" if it has fewer."""
        after = job_prefix(RUN_PREFIX, job)
        until = after + PREFIX_END
        while number > 0:
            batch = min(number, MAX_PAGE)
            rows = await self._store.list_rows(
                HISTORY_TABLE, shard_of_job(job), after=after, until=until, limit=batch, bodies=False
            )
            if len(rows) < batch:
                return ""
            number -= batch
            after = rows[-1].key
        return after

    async def _delete_rows(self, partition: str, keys: Sequence[str]) -> None:
        await self._store.apply(*(Delete(HISTORY_TABLE, partition, key) for key in keys))


class RowNames(NamedTuple):
    """Names of this process in rows. `queues_as` marks what it queues, so that others leave it alone while it lives.
    `counts_as`: of its rollups, where several processes share the store, so that they do not wait for each other.
    """

    queues_as: str = ""
    counts_as: str = ""


class Runs(RunReads):
    """All methods raise StoreUnavailable."""

    def __init__(
        self, store: Store, monotonic: Callable[[], float] = time.monotonic, names: RowNames | None = None
    ) -> None:
        super().__init__(store, monotonic)
        self._names = names or RowNames()
        self._claims = RunClaims(store)
        self._counting = RunCounting(store, self._names.counts_as)
        self._transitions = RunTransitions(store, self._counting)
        self._retention = RunRetention(store)
        self._upkeep = RollupUpkeep(store)

    async def enqueue(self, ticket: Ticket) -> RunRecord:
        """Store a run that is to happen. Return its record, or that of an existing one."""
        key = RunKey.for_ticket(ticket)
        try:
            etag, _ = await self._store.apply(
                *insert_open_changes(key, encode_open(ticket, RunState.QUEUED, self._names.queues_as))
            )
        except RowExists:
            return await self._read_existing(key)
        return RunRecord(ticket, RunState.QUEUED, self._names.queues_as, None, None, etag)

    async def claim(self, ticket: Ticket, owner: str, lease_until: datetime, now: datetime) -> Claim | AlreadyClaimed:
        """Claim the run for `owner` until `lease_until`: one that is new, queued, or whose owner's lease has ended.

        Of any number of concurrent claims, from any process, exactly one succeeds.

        Raises:
            ValueError: the due instant is outside the years 1970 to 2286.
        """
        (answer,) = await self._claims.claim_all([(ticket, lease_until)], owner, now)
        if isinstance(answer, StoreError):
            RunKey.for_ticket(ticket)  # raises if that is the reason
            raise answer
        return answer

    async def claim_all(
        self, requests: Sequence[tuple[Ticket, datetime]], owner: str, now: datetime
    ) -> Sequence[Claim | AlreadyClaimed | StoreError]:
        """`claim` each ticket, with its own lease; results in the same order. One failure does not affect others."""
        return await self._claims.claim_all(requests, owner, now)

    async def renew_all(self, claims: Sequence[Claim], lease_until: datetime) -> Sequence[Claim | StoreError]:
        """Extend the leases. Results in the same order: the claim to continue with, or the error.

        ClaimLost is among the results where another owner has the run.
        """
        return await self._transitions.renew_all(claims, lease_until)

    async def release(self, claim: Claim) -> RunRecord:
        """Give up the run unfinished: it is queued again, for any process to claim.

        Raises:
            ClaimLost: another owner has it.
        """
        (answer,) = await self._transitions.release_all([claim])
        if isinstance(answer, StoreError):
            raise answer
        return RunRecord(claim.ticket, RunState.QUEUED, "", None, None, answer)

    async def release_all(self, claims: Sequence[Claim]) -> Sequence[StoreError | None]:
        """`release` each; results in the same order: None, or the error."""
        answers = await self._transitions.release_all(claims)
        return [answer if isinstance(answer, StoreError) else None for answer in answers]

    async def delete_all_claimed(self, claims: Sequence[Claim]) -> Sequence[StoreError | None]:
        """Delete claimed runs that have not started, while their leases last: they will be planned again.

        Results in the same order: None, or the error.
        """
        keys = [RunKey.for_ticket(claim.ticket) for claim in claims]
        answers = await self._store.apply_each(
            [[Delete(HISTORY_TABLE, key.shard, row) for row in (key.run_key, key.open_key)] for key in keys]
        )
        return [answer if isinstance(answer, StoreError) else None for answer in answers]

    async def finish(self, claim: Claim, run: Run, *, acknowledged: bool = True) -> None:
        """Store the result of the claimed run. May be repeated with the same run after StoreUnavailable.

        The claim may be one from before a renewal. Not `acknowledged`: `list_unacknowledged` returns the run until
        `acknowledge`.

        Raises:
            ClaimLost: the lease ended and another owner took the run over, or it was deleted; nothing was stored.
        """
        (error,) = await self.finish_all([RunResult(claim, run, acknowledged)])
        if error is not None:
            raise error

    async def finish_all(self, results: Sequence[RunResult]) -> Sequence[StoreError | None]:
        """`finish` each; results in the same order: None, or the error."""
        rows = await self._transitions.finish_all(results)
        for end, row in zip(results, rows, strict=True):
            if not isinstance(row, StoreError):
                self._register_finished(end.run, row)
        return [row if isinstance(row, StoreError) else None for row in rows]

    async def acknowledge(self, *runs: Run) -> None:
        """Record that the follow-up of these runs, finished with acknowledged=False, is done. May be repeated."""
        keys = [RunKey.for_ticket(run) for run in runs]
        for answer in await self._store.apply_each([[Delete(HISTORY_TABLE, key.shard, key.open_key)] for key in keys]):
            if isinstance(answer, StoreError):
                raise answer

    async def insert_finished(self, ticket: Ticket, run: Run) -> RunRecord | None:
        """Store a run that no process performs, such as a skipped one: it is finished from the start.

        So a crash leaves no claim behind. Return None, or the existing record, in whatever state.
        """
        key = RunKey.for_ticket(ticket)
        body = encode_to_fit(run)
        changes = [Insert(HISTORY_TABLE, key.shard, key.run_key, body), done_pointer(key, run)]
        (answer,) = await self._counting.finish_all([FinishingChanges(key, run, changes)])
        if isinstance(answer, RowExists):
            return await self._read_existing(key)
        if isinstance(answer, StoreError):
            raise answer
        self._register_finished(run, Row(key.shard, key.run_key, body, answer))
        return None

    async def take_over_all(
        self, requests: Sequence[tuple[RunRecord, datetime]], owner: str
    ) -> Sequence[Claim | StoreError | None]:
        """Claim runs that are listed as open, whichever owner they have, each with its lease; results in the same
        order.

        None: the run has changed since it was listed, and is left alone. One failure does not affect others.
        """
        return await take_over_all(self._store, requests, owner)

    async def finish_open_all(self, ended: Sequence[tuple[RunRecord, Run]]) -> Sequence[StoreError | bool]:
        """Finish runs that are listed as open, whichever owner they have, unacknowledged; results in the same order.

        True: it is finished; False: it has changed since it was listed, and is left alone. One failure does not affect
        the others.
        """
        answers: list[StoreError | bool] = []
        for (_, run), row in zip(ended, await finish_open_all(self._counting, ended), strict=True):
            if isinstance(row, Row):
                self._register_finished(run, row)
            answers.append(row if isinstance(row, StoreError) else row is not None)
        return answers

    async def prune(self, now: datetime, age_s: float, runs_per_job: int, rollup_age_s: float = ROLLUP_AGE) -> int:
        """Delete runs that were due more than `age_s` seconds ago, and those beyond the newest `runs_per_job` of a job.

        Return how many. Works in small batches. The second rule applies to jobs of which this process has finished
        runs, and only after every `runs_per_job / 10` of them: a job may have a tenth more for a while. The
        rollups remain for `rollup_age_s`: see `list_rollups`.
        """
        await self._upkeep.count_older_versions(now, age_s)
        deleted = await self._retention.prune(now, age_s, runs_per_job)
        await self._upkeep.update_days(now, rollup_age_s)
        return deleted

    async def find_rollup_lag(self, now: datetime) -> timedelta:
        """Return for how long hours of statistics have been waiting to be summed up. Raises StoreUnavailable."""
        return await self._upkeep.find_lag(now)

    def _register_finished(self, run: Run, row: Row) -> None:
        """Register a run that this process has finished."""
        self._latest.update(run, row)
        self._retention.count_finished(run.job)

    async def _read_existing(self, key: RunKey) -> RunRecord:
        row = await self._store.get_row(HISTORY_TABLE, key.shard, key.run_key)
        if row is None:
            raise RowChanged(HISTORY_TABLE, key.shard, key.run_key)
        return decode_record(row)
