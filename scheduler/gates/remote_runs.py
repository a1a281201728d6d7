"""The runs of a job in other processes, as far as they matter for a run here.

Called by scheduler.gates.overlap in hosts that share their store with other processes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates.job_queue import QueuePosition, ids_in_order
from scheduler.gates.open_runs_cache import OpenRunsCache
from scheduler.gates.slot_leases import SlotLeases
from scheduler.stores.gates import Cancellations
from scheduler.stores.runs.keys import RunKey
from scheduler.stores.runs.open_runs import OpenRun
from scheduler.stores.runs.repository import Runs

RECORD_DELAY_LIMIT = timedelta(seconds=4)
"""A finished run may be open in the store for so long, because results are recorded in groups."""
FINISHED_REMEMBERED_S = 60.0
"""Seconds for which a run that finished here counts as finished, even if it is open in the store."""


@dataclass(frozen=True, slots=True)
class RemoteRunsFound:
    """Run ids, oldest first. `running`: claimed and due before; `queued`: due before, not claimed; `newer`: claimed and
    due later. `recorded_by`: until then the running ones may be finished already."""

    running: tuple[str, ...] = ()
    queued: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()
    recorded_by: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.running or self.queued or self.newer)


class RemoteRuns:
    """All methods raise StoreUnavailable, except `release`."""

    def __init__(self, runs: Runs, slots: SlotLeases, cancellations: Cancellations, clock: Clock) -> None:
        self._runs = runs
        self._open_runs = OpenRunsCache(runs, clock)
        self._slots = slots
        self._cancellations = cancellations
        self._clock = clock
        self._finished_at: dict[str, float] = {}
        self._requested: dict[str, set[str]] = {}
        """The runs whose cancellation each run has requested."""
        self._enqueued: set[str] = set()

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
        self, found: Iterable[OpenRun], ticket: Ticket, entry: CatalogJob, local_ids: Collection[str]
    ) -> RemoteRunsFound:
        now, position = self._clock.now(), QueuePosition.of_ticket(ticket)
        running: list[QueuePosition] = []
        queued: list[QueuePosition] = []
        newer: list[QueuePosition] = []
        for run in found:
            other = QueuePosition(run.due_at, run.run_id)
            # A run that is claimed before its instant has not started.
            if run.run_id == ticket.id or run.run_id in local_ids or run.due_at > now:
                continue
            if run.lease_until is None:
                queued += [other] if other < position else []
            elif run.run_id not in self._finished_at and run.lease_until is not None and run.lease_until > now:
                (running if other < position or _replay_waits_for(other, ticket, entry, now) else newer).append(other)
        recorded_by = max((one.due_at for one in running), default=None)
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
