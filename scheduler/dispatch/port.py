"""The ports through which a ticket leaves for a worker, and how much is on its way there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What is on its way to a worker.

    `waiting`: tickets (embedded) or messages (Functions; those that are hidden until their instant are among them).
    `oldest_s`: seconds for which the oldest that could be worked on has not been; None if none waits so.
    `poison`: messages that the platform gave up and that are not buried yet.
    """

    waiting_count: int
    oldest_s: float | None = None
    poison_count: int = 0


class QueueDepthReader(Protocol):
    async def read_depth(self) -> QueueDepth:
        """Raises DispatchError."""
        ...


class DispatchError(Exception):
    """Tickets could not be handed over. The message says what is away and what to look at."""
