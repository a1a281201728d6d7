"""Dispatch within the process of the embedded host. Built by scheduler.app.profile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from jobs.runs import Ticket


class InProcessDispatch:
    """Passes each ticket to `submit`, which returns at once. A crash loses none: they are stored as queued before."""

    def __init__(self, submit: Callable[[Ticket], object]) -> None:
        self._submit = submit

    async def send(self, tickets: Sequence[Ticket], *, not_before: datetime | None = None) -> None:
        """Submit the tickets now: only requested tickets arrive here, and no other process holds them."""
        for ticket in tickets:
            self._submit(ticket)

    async def aclose(self) -> None:
        """Nothing to close."""
