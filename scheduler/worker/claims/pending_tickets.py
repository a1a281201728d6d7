"""Planned tickets that were handed to the worker and have no row in the store yet: they would die with the process.

Kept by the worker; the host notes how far planning has come by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from jobs.runs import Ticket, Trigger

_MICROSECOND = timedelta(microseconds=1)


class PendingTickets:
    def __init__(self) -> None:
        self._due_by_id: dict[str, datetime] = {}

    def add(self, tickets: Iterable[Ticket]) -> None:
        """They are taken. Only scheduled ones are planned again; others are stored before they are taken."""
        self._due_by_id |= {ticket.id: ticket.due_at for ticket in tickets if ticket.trigger is Trigger.SCHEDULE}

    def remove(self, ticket: Ticket) -> None:
        """There is a row now, or somebody has one; or nothing more can be done."""
        self._due_by_id.pop(ticket.id, None)

    def persisted_until(self, instant: datetime) -> datetime:
        """This instant, or an earlier one if what fell due before it was taken and is not stored yet.

        What is planned from there on after a crash misses nothing.
        """
        return min([instant, *(due_at - _MICROSECOND for due_at in self._due_by_id.values())])
