"""Planned tickets that were handed to the worker and have no row in the store yet: they would die with the process.

Kept by the worker; the host notes how far planning has come by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from jobs.runs import Ticket, Trigger

_MOMENT = timedelta(microseconds=1)


class Unstored:
    def __init__(self) -> None:
        self._due: dict[str, datetime] = {}

    def hold(self, tickets: Iterable[Ticket]) -> None:
        """They are taken. Only scheduled ones are planned again; others are stored before they are taken."""
        self._due |= {ticket.id: ticket.due_at for ticket in tickets if ticket.trigger is Trigger.SCHEDULE}

    def stored(self, ticket: Ticket) -> None:
        """There is a row now, or somebody has one; or nothing more can be done."""
        self._due.pop(ticket.id, None)

    def until(self, instant: datetime) -> datetime:
        """This instant, or an earlier one if what fell due before it was taken and is not stored yet.

        What is planned from there on after a crash misses nothing.
        """
        return min([instant, *(due_at - _MOMENT for due_at in self._due.values())])
