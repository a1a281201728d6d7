"""Dispatch inside the embedded host's process: a ticket is started at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from jobs.runs import Ticket


class InProcessDispatch:
    """Hands each ticket to `submit`, which returns at once. A crash loses none: they are stored as queued before."""

    def __init__(self, submit: Callable[[Ticket], object]) -> None:
        self._submit = submit

    async def send(self, tickets: Sequence[Ticket], *, not_before: datetime | None = None) -> None:
        """At once: only tickets that people ask for come this way, and nobody else holds those."""
        for ticket in tickets:
            self._submit(ticket)

    async def aclose(self) -> None:
        """Nothing to close."""
