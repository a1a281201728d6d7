"""Holds submitted tickets that have no row in the store yet: a crash would lose them.

Called by scheduler.worker.worker. The host stores its planning cursor by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from jobs.runs import Ticket, Trigger
from scheduler.planning.missed_span import MissedSpan

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
