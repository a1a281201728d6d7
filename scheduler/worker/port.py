"""The port through which a ticker hands tickets to the worker.

Called by ticker; implemented by worker, and by watchdog.noted in front of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from jobs.runs import Ticket
from scheduler.planning.missed_span import MissedSpan


class TicketReceiver(Protocol):
    """The worker as a ticker sees it. All methods return at once."""

    def submit(self, *tickets: Ticket) -> asyncio.Task[None] | None:
        """Perform the ticket; several one after the other. Returns the task that does it, if it is taken."""
        ...

    def submit_batch(self, tickets: Sequence[Ticket], claim_at: datetime | None = None) -> None:
        """Claim the tickets together, at once or at an instant before theirs, and perform each at its own."""
        ...

    def submit_missed(self, missed: MissedSpan) -> None:
        """Record missed instants as one skipped run."""
        ...
