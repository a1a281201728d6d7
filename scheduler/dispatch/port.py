"""The port through which a ticket leaves for a worker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from jobs.runs import Ticket


class Dispatch(Protocol):
    async def send(self, tickets: Sequence[Ticket], *, not_before: datetime | None = None) -> None:
        """Hand the tickets over; each is performed at its instant (at once, if that has passed) at least once.

        `not_before`: a later instant for all of them, such as the end of another owner's lease.

        Raises DispatchError.
        """
        ...

    async def aclose(self) -> None: ...


class DispatchError(Exception):
    """Tickets could not be handed over. The message says what is away and what to look at."""
