"""Handles the ends of tickets that no caller waits for: logs them, and records what could not be claimed.

Called by scheduler.worker.worker.
"""

from __future__ import annotations

import logging

from jobs.runs import Ticket
from scheduler.planning.missed_span import MissedSpan
from scheduler.stores.port import StoreError
from scheduler.worker.batches import TicketEnd
from scheduler.worker.claims.pending_tickets import PendingTickets
from scheduler.worker.failed_claims import FailedClaims
from scheduler.worker.publishing import NotFollowedUp, RunPublisher
from scheduler.worker.results.recorder import NotRecorded
from scheduler.worker.skipping import SkipRecorder

_log = logging.getLogger("scheduler.worker")


class BackgroundEnds:
    def __init__(
        self,
        publisher: RunPublisher,
        skip_recorder: SkipRecorder,
        failed_claims: FailedClaims,
        pending: PendingTickets,
    ) -> None:
        self._publisher = publisher
        self._skip_recorder = skip_recorder
        self._failed_claims = failed_claims
        self._pending = pending

    async def handle(self, ticket: Ticket, end: TicketEnd) -> None:
        """Log the end of a ticket, unless it was executed and recorded."""
        if isinstance(end, NotRecorded):
            # No queue delivers this ticket again: the result is published, although it is not stored.
            self._publisher.publish_telemetry(end.run)
            _log.error("could not record run %s: %s; its result is lost", ticket.id, end)
        elif isinstance(end, NotFollowedUp):
            _log.error("%s", end)
        elif isinstance(end, StoreError):
            _log.error("could not claim run %s: %s; it is recorded as skipped once the store is back", ticket.id, end)
            self._failed_claims.add(ticket)
        elif isinstance(end, Exception):
            _log.error("run %s failed inside the scheduler", ticket.id, exc_info=end)
        elif end is not None:
            _log.info("run %s is not executed: %s", ticket.id, end)

    async def record_missed(self, missed: MissedSpan) -> None:
        """Record missed instants as one skipped run. See SkipRecorder.record_missed."""
        try:
            await self._skip_recorder.record_missed(missed)
        except StoreError as error:
            _log.error("could not record the skipped run %s: %s; it is lost", missed.ticket.id, error)
        self._pending.remove(missed.ticket)
