"""Records skipped tickets: missed instants, released runs, and tickets that could not be claimed.

Tickets that could not be claimed are recorded once the store is back, where no queue delivers them again. Of each job
only the first and the last instant are held, so an outage of hours costs no memory; the history has the reason for all
of them. Until a ticket has a row, a crash would lose it: the host stores its planning cursor by the pending tickets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.running.run_factories import skipped_run
from jobs.runs import Run, Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import Catalog
from scheduler.planning.plan import MissedSpan
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Claim, RunRecord, RunResult, RunState
from scheduler.worker.recorder import RECORD_BACKOFF
from scheduler.worker.store_outages import retry_store
from scheduler.worker.worker_dependencies import WorkerDependencies

_MICROSECOND = timedelta(microseconds=1)


class PendingTickets:
    def __init__(self) -> None:
        self._due_by_id: dict[str, datetime] = {}

    def add(self, tickets: Iterable[Ticket]) -> None:
        """Add submitted tickets. Only scheduled ones are planned again; others are stored before they are submitted."""
        self._due_by_id |= {ticket.id: ticket.due_at for ticket in tickets if ticket.trigger is Trigger.SCHEDULE}

    def add_missed(self, missed: MissedSpan) -> None:
        """Add missed instants: the row at the last one is for all of them. Remove them by the ticket of the span."""
        self._due_by_id[missed.ticket.id] = missed.first

    def remove(self, ticket: Ticket) -> None:
        """Remove a ticket: its run has a row, or nothing more can be done."""
        self._due_by_id.pop(ticket.id, None)

    def persisted_until(self, instant: datetime) -> datetime:
        """Return the instant from which planning after a crash misses no ticket.

        It is `instant`, or earlier if a submitted ticket that was due before is not stored yet.
        """
        return min([instant, *(due_at - _MICROSECOND for due_at in self._due_by_id.values())])


_log = logging.getLogger("scheduler.worker")

_REASONS_WITHOUT_CLAIM = frozenset({ReasonCode.MISSED, ReasonCode.STORE_UNAVAILABLE})
"""The reasons with which tickets are skipped here: no recovery finds such a run unpublished."""


class SkipRecorder:
    def __init__(self, dependencies: WorkerDependencies) -> None:
        self._catalog, self._runs = dependencies.catalog, dependencies.runs
        self._claimer, self._recorder = dependencies.claimer, dependencies.recorder
        self._publisher, self._clock = dependencies.publisher, dependencies.clock
        self._registry = dependencies.registry

    async def record_skipped(self, ticket: Ticket, reason: Reason) -> bool:
        """Record a ticket as skipped; False if it was run after all, is in-flight, or is skipped with another reason.

        The ticket is not claimed first: after a crash in between, an interrupted run would hide the reason. Raises
        StoreError.
        """
        entry = self._catalog.find_job(ticket.job)
        run = skipped_run(entry.job if entry else None, ticket, self._clock, reason)
        there = await self._insert_finished(ticket, run)
        if there is not None and there.state is RunState.QUEUED:
            return await self._skip_queued(ticket, run)
        stored = run if there is None else there.run
        if stored is None or stored.reason not in _REASONS_WITHOUT_CLAIM:
            return False
        # A process that recorded it before may have died before it published the run; it may have planned a shorter
        # span. The ids of dependent runs are derived from its end, so the stored run is published.
        await self._publisher.publish(stored)
        return stored.message == run.message

    async def record_missed(self, missed: MissedSpan) -> None:
        """Record missed instants as one skipped run, at the latest instant without a run. Raises StoreError.

        An interrupted tick may have run some of them.
        """
        left_out: MissedSpan | None = missed
        while left_out is not None and not await self.record_skipped(left_out.ticket, left_out.reason):
            left_out = left_out.without_last()
        if left_out is not None:
            _log.warning("run %s is skipped: %s", left_out.ticket.id, left_out.reason)

    async def _insert_finished(self, ticket: Ticket, run: Run) -> RunRecord | None:
        """Insert the run, with retries over a short outage of the store. See Runs.insert_finished."""
        return await retry_store(
            lambda: self._runs.insert_finished(ticket, run),
            RECORD_BACKOFF,
            self._clock,
            lambda error: _log.warning("could not record run %s: %s; retrying", run.id, error),
        )

    async def _skip_queued(self, ticket: Ticket, run: Run) -> bool:
        """Skip a run that a stopping process released."""
        claim = await self._claimer.claim_with_retry(ticket)
        return isinstance(claim, Claim) and await self.finish_claimed(claim, run)

    async def finish_claimed(self, claim: Claim, run: Run) -> bool:
        """Record the end of a claimed run; False if another owner has it now. Raises StoreError."""
        try:
            end = RunResult(claim, run, self._publisher.is_acknowledged_on_finish(run.job))
            recorded = await self._recorder.record(end)
        finally:
            self._claimer.forget_claim(claim)
            self._registry.mark_ended(run.id)
        if recorded:
            await self._publisher.publish(run)
        return recorded


FAILED_CLAIM_RETRY_INTERVAL = 5.0
"""Seconds between two tries."""
FAILED_CLAIM_CAUSE = Reason(
    ReasonCode.STORE_UNAVAILABLE, "the store was unavailable when it was due, so it could not be claimed"
)


class FailedClaims:
    def __init__(self, catalog: Catalog, skip_recorder: SkipRecorder, pending: PendingTickets, clock: Clock) -> None:
        self._catalog = catalog
        self._skip_recorder = skip_recorder
        self._pending = pending
        self._clock = clock
        self._spans: dict[str, MissedSpan] = {}
        self._recording: asyncio.Task[None] | None = None

    def add(self, ticket: Ticket) -> None:
        """Record the ticket later, if it is scheduled; others are stored as queued already."""
        entry = self._catalog.find_job(ticket.job)
        if ticket.trigger is not Trigger.SCHEDULE or entry is None:
            return
        span = self._spans.get(ticket.job)
        if span is None:
            self._begin(MissedSpan(entry, ticket.due_at, ticket.due_at, FAILED_CLAIM_CAUSE))
        else:
            self._spans[ticket.job] = replace(span, last=max(span.last, ticket.due_at))
        if self._recording is None or self._recording.done():
            self._recording = asyncio.get_running_loop().create_task(self._record())

    def _begin(self, span: MissedSpan) -> None:
        self._spans[span.entry.job.name] = span
        # Until it is recorded, planning after a crash starts before it.
        self._pending.add([replace(span, last=span.first).ticket])

    async def _record(self) -> None:
        while self._spans:
            await self._clock.sleep(FAILED_CLAIM_RETRY_INTERVAL)
            try:
                for job, span in list(self._spans.items()):
                    await self._skip_recorder.record_missed(span)
                    self._recorded(job, span)
            except StoreError as error:
                _log.warning("could not record unclaimed instants as skipped: %s; retrying", error)

    def _recorded(self, job: str, span: MissedSpan) -> None:
        newest, schedule = self._spans.pop(job), span.entry.job.schedule
        self._pending.remove(replace(span, last=span.first).ticket)
        following = schedule.next_after(span.last) if schedule is not None else None
        if following is not None and following <= newest.last:
            # Other tickets arrived while it was recorded.
            self._begin(replace(newest, first=following))
