"""The port through which a ticker submits tickets.

Called by scheduler.hosts.embedded.ticker; implemented by worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from jobs.runs import Ticket
from scheduler.planning.plan import MissedSpan


class TicketReceiver(Protocol):
    """The worker as a ticker sees it. All methods return at once."""

    def submit(self, *tickets: Ticket) -> asyncio.Task[None] | None:
        """Execute the tickets in order. Returns the task, or None if the worker accepts no more tickets."""
        ...

    def submit_batch(self, tickets: Sequence[Ticket], claim_at: datetime | None = None) -> None:
        """Claim the tickets together, now or at `claim_at`, and execute each at its instant."""
        ...

    def submit_missed(self, missed: MissedSpan) -> None:
        """Record missed instants as one skipped run."""
        ...
