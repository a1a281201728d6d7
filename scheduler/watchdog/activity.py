"""Tracks the tickets and runs of this process, so that the watchdog judges most jobs without reading the store.

`TrackedRuns` is the Runs of the whole program, so it tracks every claim; the worker reports the tickets.
Called by scheduler.watchdog.job_watch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from jobs.ports import Clock
from jobs.runs import Run, Ticket, Trigger
from scheduler.dispatch.port import QueueDepth
from scheduler.stores.port import Store, StoreError
from scheduler.stores.runs.repository import AlreadyClaimed, Claim, RowNames, RunRecord, RunResult, Runs
from scheduler.watchdog.store_failures import StoreFailures


class RunActivity:
    """Implements QueueDepthReader for the embedded host: tickets that are submitted and wait to start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._newest: dict[str, datetime] = {}
        self._submitted: dict[str, datetime] = {}

    def newest_due(self, job: str) -> datetime | None:
        """Return the newest instant of the job's schedule that has a run; None if unknown."""
        return self._newest.get(job)

    def mark_run(self, job: str, due_at: datetime) -> None:
        """Record that this instant has a run, started or recorded by any process."""
        known = self._newest.get(job)
        if known is None or known < due_at:
            self._newest[job] = due_at

    def mark_stored(self, ticket: Ticket) -> None:
        """Record that the ticket's run is stored."""
        if ticket.trigger is Trigger.SCHEDULE:
            self.mark_run(ticket.job, ticket.due_at)

    def mark_submitted(self, ticket: Ticket) -> None:
        """Record a ticket that waits from now on, or from its instant."""
        self._submitted[ticket.id] = max(self._clock.now(), ticket.due_at)

    def mark_started(self, ticket: Ticket) -> None:
        """Record that a ticket does not wait any more."""
        self._submitted.pop(ticket.id, None)

    async def read_depth(self) -> QueueDepth:
        now = self._clock.now()
        waiting = [(now - since).total_seconds() for since in self._submitted.values() if since <= now]
        return QueueDepth(len(waiting), max(waiting, default=None))


class TrackedRuns(Runs):
    """Runs that tracks claims, runs recorded without a claim, and the errors of claims and results."""

    def __init__(
        self,
        store: Store,
        activity: RunActivity,
        monotonic: Callable[[], float] = time.monotonic,
        names: RowNames | None = None,
        failures: StoreFailures | None = None,
    ) -> None:
        super().__init__(store, monotonic, names)
        self._activity = activity
        self._failures = failures or StoreFailures(monotonic)

    async def claim(self, ticket: Ticket, owner: str, lease_until: datetime, now: datetime) -> Claim | AlreadyClaimed:
        """See Runs.claim."""
        claim = await super().claim(ticket, owner, lease_until, now)
        self._activity.mark_stored(ticket)
        return claim

    async def claim_all(
        self, requests: Sequence[tuple[Ticket, datetime]], owner: str, now: datetime
    ) -> Sequence[Claim | AlreadyClaimed | StoreError]:
        """See Runs.claim_all."""
        answers = await super().claim_all(requests, owner, now)
        self._failures.record(answers)
        for (ticket, _), answer in zip(requests, answers, strict=True):
            if not isinstance(answer, StoreError):
                self._activity.mark_stored(ticket)
        return answers

    async def finish_all(self, results: Sequence[RunResult]) -> Sequence[StoreError | None]:
        """See Runs.finish_all."""
        answers = await super().finish_all(results)
        self._failures.record(answers)
        return answers

    async def insert_finished(self, ticket: Ticket, run: Run) -> RunRecord | None:
        """See Runs.record."""
        found = await super().insert_finished(ticket, run)
        self._activity.mark_stored(ticket)
        return found
