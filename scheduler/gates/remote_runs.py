"""The runs of a job in other processes, which the gate of overlap (scheduler.gates.overlap) considers for a run here.

They are read from the store, where each open run has a row in the shard of its job. Nearly always no other run of the
job is open. So the keys of all open runs of a shard are read with one request, without bodies, and are valid for a
moment. Bodies are read only for a job whose keys contain another run.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates.job_queue import QueuePosition, ids_in_order
from scheduler.gates.slots import SlotLeases
from scheduler.stores.gates import Cancellations
from scheduler.stores.runs.keys import RunKey, shard_of_job
from scheduler.stores.runs.open_runs import OpenRun
from scheduler.stores.runs.repository import Runs

KEYS_VALID_S = 2.5
"""Seconds for which the keys of a shard's open runs are valid, from the request on."""

MAX_SINGLE_JOB_REQUESTS = 4
"""Jobs whose bodies are read with a request each; more jobs share one request, which also reads the jobs between."""

_RunsRequest = tuple[str, asyncio.Future[Sequence[OpenRun]]]
"""A job, and the future that receives its open runs."""
_ByJob = Mapping[str, Sequence[RunKey]]


@dataclass(frozen=True, slots=True)
class _KeysSnapshot:
    """The open runs of a shard. `valid_until`: monotonic seconds."""

    by_job: _ByJob
    valid_until: float


class OpenRunsCache:
    """Reads open runs. Concurrent calls for one shard share requests. All methods raise StoreUnavailable."""

    def __init__(self, runs: Runs, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock
        self._snapshots: dict[str, _KeysSnapshot] = {}
        self._refreshing: dict[str, asyncio.Task[_KeysSnapshot]] = {}
        """The refresh in-flight, by shard, which all callers share."""
        self._waiting: defaultdict[str, list[_RunsRequest]] = defaultdict(list)
        self._readers: dict[str, asyncio.Task[None]] = {}
        """The task that reads bodies, by shard."""

    async def read_runs(self, job: str) -> Sequence[OpenRun]:
        """Return the job's open runs as of now.

        A shard has one request in-flight; all calls meanwhile share the next request.
        """
        shard = shard_of_job(job)
        answered: asyncio.Future[Sequence[OpenRun]] = asyncio.get_running_loop().create_future()
        self._waiting[shard].append((job, answered))
        if shard not in self._readers:
            self._readers[shard] = asyncio.ensure_future(self._read_waiting(shard))
        return await answered

    async def _read_waiting(self, shard: str) -> None:
        try:
            while waiting := self._waiting.pop(shard, None):
                await self._answer(waiting)
        finally:
            del self._readers[shard]

    async def _answer(self, waiting: Sequence[_RunsRequest]) -> None:
        by_job: defaultdict[str, list[OpenRun]] = defaultdict(list)
        error: BaseException | None = None
        try:
            for run in await self._read({job for job, _ in waiting}):
                by_job[run.job].append(run)
        except BaseException as raised:
            # Any error ends the wait: a run must not wait without end.
            error = raised
        for job, answered in waiting:
            if answered.done():
                continue  # its task was cancelled
            if error is not None:
                answered.set_exception(error)
            else:
                answered.set_result(by_job[job])

    async def _read(self, jobs: set[str]) -> Sequence[OpenRun]:
        if len(jobs) > MAX_SINGLE_JOB_REQUESTS:
            return await self._runs.list_open_of_jobs(*jobs)
        return [run for some in await asyncio.gather(*map(self._runs.list_open_of_jobs, jobs)) for run in some]

    async def cached_keys(self, job: str) -> Sequence[RunKey]:
        """Return the keys of the job's open runs, at most KEYS_VALID_S seconds old.

        They include finished runs that are not acknowledged.
        """
        shard = shard_of_job(job)
        snapshot = self._snapshots.get(shard)
        if snapshot is None or self._clock.monotonic() >= snapshot.valid_until:
            # Shielded, because other callers share the refresh if this one is cancelled.
            snapshot = await asyncio.shield(self._refreshing.get(shard) or self._start_refresh(shard))
        return snapshot.by_job.get(job, ())

    def _start_refresh(self, shard: str) -> asyncio.Task[_KeysSnapshot]:
        task = asyncio.ensure_future(self._refresh(shard))
        self._refreshing[shard] = task
        task.add_done_callback(_retrieve_error)
        return task

    async def _refresh(self, shard: str) -> _KeysSnapshot:
        valid_until = self._clock.monotonic() + KEYS_VALID_S
        try:
            by_job: defaultdict[str, list[RunKey]] = defaultdict(list)
            for key in await self._runs.list_open_keys(shard):
                by_job[key.job].append(key)
        finally:
            del self._refreshing[shard]
        snapshot = self._snapshots[shard] = _KeysSnapshot(by_job, valid_until)
        return snapshot


def _retrieve_error(task: asyncio.Task[_KeysSnapshot]) -> None:
    """Retrieve the error of the task: its callers may be cancelled."""
    if not task.cancelled():
        task.exception()


RECORD_DELAY_LIMIT = timedelta(seconds=4)
"""A finished run may be open in the store for so long, because results are recorded in groups."""
FINISHED_REMEMBERED_S = 60.0
"""Seconds for which a run that finished here counts as finished, even if it is open in the store."""


@dataclass(frozen=True, slots=True)
class RemoteRunsFound:
    """Ids of the other runs, oldest first, by their due instant compared with that of the ticket.

    `running`: claimed and due before it; `queued`: due before it and not claimed; `newer`: claimed and due after it.
    `recorded_by`: until then the running ones may be finished already, but not recorded.
    """

    running: tuple[str, ...] = ()
    queued: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()
    recorded_by: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.running or self.queued or self.newer)


class RemoteRuns:
    """Finds and cancels the runs in other processes, and holds the slot by which those that wait do not overlap.

    A slot is a lease in the store; the only slot of a job is held while one of its runs is admitted. All methods raise
    StoreUnavailable, except `release`.
    """

    def __init__(self, runs: Runs, slots: SlotLeases, cancellations: Cancellations, clock: Clock) -> None:
        self._runs = runs
        self._open_runs = OpenRunsCache(runs, clock)
        self._slots = slots
        self._cancellations = cancellations
        self._clock = clock
        self._finished_at: dict[str, float] = {}
        """When each run finished here, in monotonic seconds: its row in the store may still be open."""
        self._requested: dict[str, set[str]] = {}
        """The runs whose cancellation each run has requested."""
        self._enqueued: set[str] = set()
        """The waiting runs that are stored as queued."""

    async def find_runs(self, ticket: Ticket, entry: CatalogJob, local_ids: Collection[str]) -> RemoteRunsFound:
        """Return the open runs of the job in other processes. `local_ids`: the runs of this process.

        Where an overlap only skips the run, cached keys suffice to find no other run: a run that was claimed later is
        due later.
        """
        job = entry.job
        if job.overlap == "skip" and job.effect == "repeatable":
            keys = await self._open_runs.cached_keys(job.name)
            if not any(self._can_conflict(key, ticket, local_ids) for key in keys):
                return RemoteRunsFound()
        return self._classify(await self._open_runs.read_runs(job.name), ticket, entry, local_ids)

    async def acquire_job_slot(self, ticket: Ticket, entry: CatalogJob) -> str | None:
        """Acquire the only slot of the job. Returns the id of another holder ("": unknown)."""
        full = await self._slots.acquire(_job_group(ticket.job), 1, ticket, entry)
        return None if full is None else next(iter(full.holders), "")

    async def cancel(self, ticket: Ticket, run_ids: Iterable[str], cancelled_by: str) -> None:
        """Request once that the processes of these runs cancel them."""
        requested = self._requested.setdefault(ticket.id, set())
        for run_id in run_ids:
            if run_id not in requested:
                await self._cancellations.request(run_id, cancelled_by, self._clock.now())
                requested.add(run_id)

    async def enqueue_waiting(self, ticket: Ticket, entry: CatalogJob) -> None:
        """Store a waiting run as queued if it is claimed only when it starts, so that other processes find it."""
        if entry.job.effect == "once" and ticket.trigger is Trigger.SCHEDULE and ticket.id not in self._enqueued:
            await self._runs.enqueue(ticket)
            self._enqueued.add(ticket.id)

    async def release(self, ticket: Ticket, *, was_admitted: bool) -> None:
        """Release the slot of the job. Raises nothing."""
        self._requested.pop(ticket.id, None)
        self._enqueued.discard(ticket.id)
        if was_admitted:
            now = self._clock.monotonic()
            self._finished_at = {
                run_id: at for run_id, at in self._finished_at.items() if now - at < FINISHED_REMEMBERED_S
            }
            self._finished_at[ticket.id] = now
        await self._slots.release(_job_group(ticket.job), ticket.id)

    def _can_conflict(self, key: RunKey, ticket: Ticket, local_ids: Collection[str]) -> bool:
        """Return whether the body of this open run has to be read."""
        if key.due_at > self._clock.now():
            return False
        run_id = key.run_id
        return run_id != ticket.id and run_id not in local_ids and run_id not in self._finished_at

    def _classify(
        self, open_runs: Iterable[OpenRun], ticket: Ticket, entry: CatalogJob, local_ids: Collection[str]
    ) -> RemoteRunsFound:
        now, position = self._clock.now(), QueuePosition.of_ticket(ticket)
        running: list[QueuePosition] = []
        queued: list[QueuePosition] = []
        newer: list[QueuePosition] = []
        for run in open_runs:
            other = QueuePosition(run.due_at, run.run_id)
            # A run that is claimed before its instant has not started.
            if run.run_id == ticket.id or run.run_id in local_ids or run.due_at > now:
                continue
            if run.lease_until is None:
                queued += [other] if other < position else []
            elif run.run_id not in self._finished_at and run.lease_until is not None and run.lease_until > now:
                (running if other < position or _replay_waits_for(other, ticket, entry, now) else newer).append(other)
        recorded_by = max((other.due_at for other in running), default=None)
        return RemoteRunsFound(
            ids_in_order(running),
            ids_in_order(queued),
            ids_in_order(newer),
            recorded_by and recorded_by + RECORD_DELAY_LIMIT,
        )


def _replay_waits_for(other: QueuePosition, ticket: Ticket, entry: CatalogJob, now: datetime) -> bool:
    """Return whether a replay waits for a run that was due after it.

    A run that is open for longer than its deadline waits for the replay instead.
    """
    if not ticket.trigger.is_rerun or entry.job.overlap != "skip":
        return False
    return now < other.due_at + timedelta(seconds=entry.job.timeout.run) + RECORD_DELAY_LIMIT


def _job_group(job: str) -> str:
    return f"overlap~{job}"
