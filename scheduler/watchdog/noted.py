"""What this process takes and begins, noted in passing: most jobs can be judged by it without asking the store.

`WatchedRuns` is the Runs of the whole program, so every claim is seen; `Taking` stands before the worker.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from jobs.ports import Clock
from jobs.runs import Run, Ticket, Trigger
from scheduler.dispatch.port import Depth
from scheduler.planning.left_out import LeftOut
from scheduler.stores.port import Store, StoreError
from scheduler.stores.runs import Claim, End, Held, Record, Runs
from scheduler.watchdog.trouble import StoreTrouble
from scheduler.work.port import TakesTickets


class Noted:
    """Implements dispatch.port.Depths for the embedded host: tickets that are taken and wait to begin."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._newest: dict[str, datetime] = {}
        self._taken: dict[str, datetime] = {}

    def newest(self, job: str) -> datetime | None:
        """The newest due instant of the job's schedule that is known to have a run."""
        return self._newest.get(job)

    def has_run(self, job: str, due_at: datetime) -> None:
        """This due instant has a run, begun or recorded by whoever."""
        known = self._newest.get(job)
        if known is None or known < due_at:
            self._newest[job] = due_at

    def is_stored(self, ticket: Ticket) -> None:
        """The ticket's run is in the store, begun or recorded."""
        if ticket.trigger is Trigger.SCHEDULE:
            self.has_run(ticket.job, ticket.due_at)

    def taken(self, *tickets: Ticket) -> None:
        """They wait from now on, or from their instant."""
        now = self._clock.now()
        for ticket in tickets:
            self._taken[ticket.id] = max(now, ticket.due_at)

    def begins(self, ticket: Ticket) -> None:
        """It does not wait any more, whatever becomes of it."""
        self._taken.pop(ticket.id, None)

    async def depth(self) -> Depth:
        now = self._clock.now()
        waiting = [(now - since).total_seconds() for since in self._taken.values() if since <= now]
        return Depth(len(waiting), max(waiting, default=None))


class Taking:
    """Implements work.port.TakesTickets: the worker, and what it takes is noted."""

    def __init__(self, worker: TakesTickets, noted: Noted) -> None:
        self._worker = worker
        self._noted = noted

    def submit(self, *tickets: Ticket) -> asyncio.Task[None] | None:
        """See TakesTickets.submit."""
        self._noted.taken(*tickets)
        return self._worker.submit(*tickets)

    def submit_batch(self, tickets: Sequence[Ticket], claim_at: datetime | None = None) -> None:
        """See TakesTickets.submit_batch."""
        self._noted.taken(*tickets)
        self._worker.submit_batch(tickets, claim_at)

    def submit_leaving_out(self, left_out: LeftOut) -> None:
        """See TakesTickets.submit_leaving_out."""
        self._worker.submit_leaving_out(left_out)


class WatchedRuns(Runs):
    """Runs whose claims, and those that are recorded without one, are noted; and what the store answers to claims and
    results."""

    def __init__(
        self,
        store: Store,
        noted: Noted,
        monotonic: Callable[[], float] = time.monotonic,
        queues_as: str = "",
        trouble: StoreTrouble | None = None,
    ) -> None:
        super().__init__(store, monotonic, queues_as)
        self._noted = noted
        self._trouble = trouble or StoreTrouble(monotonic)

    async def claim(self, ticket: Ticket, owner: str, lease_until: datetime, now: datetime) -> Claim | Held:
        """See Runs.claim."""
        claim = await super().claim(ticket, owner, lease_until, now)
        self._noted.is_stored(ticket)
        return claim

    async def claim_all(
        self, wanted: Sequence[tuple[Ticket, datetime]], owner: str, now: datetime
    ) -> Sequence[Claim | Held | StoreError]:
        """See Runs.claim_all."""
        answers = await super().claim_all(wanted, owner, now)
        self._trouble.note(answers)
        for (ticket, _), answer in zip(wanted, answers, strict=True):
            if not isinstance(answer, StoreError):
                self._noted.is_stored(ticket)
        return answers

    async def finish_all(self, ends: Sequence[End]) -> Sequence[StoreError | None]:
        """See Runs.finish_all."""
        answers = await super().finish_all(ends)
        self._trouble.note(answers)
        return answers

    async def record(self, ticket: Ticket, run: Run) -> Record | None:
        """See Runs.record."""
        found = await super().record(ticket, run)
        self._noted.is_stored(ticket)
        return found
