"""Records planned tickets as skipped that could not be claimed, once the store is back.

Called by scheduler.worker.worker, where no queue delivers a ticket again. Of each job only the first and the last
instant are held, so an outage of hours costs no memory. The history has the reason for all of them.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import Catalog
from scheduler.planning.missed_span import MissedSpan
from scheduler.stores.port import StoreError
from scheduler.worker.claims.pending_tickets import PendingTickets
from scheduler.worker.skipping import SkipRecorder

_log = logging.getLogger("scheduler.worker")

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
