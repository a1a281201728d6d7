"""The ports that send tickets to a worker and report how many wait, and the dispatch within one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobs.runs import Ticket


class Dispatch(Protocol):
    """Sends tickets to the worker."""

    async def send(self, tickets: Sequence[Ticket], *, not_before: datetime | None = None) -> None:
        """Send the tickets; each is executed at least once, at its instant or now if that has passed.

        `not_before`: a later instant for all of them, such as the end of another owner's lease.

        Raises:
            DispatchError: the queue is unavailable.
        """
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The tickets that wait for a worker.

    `waiting_count`: tickets (embedded), or messages (Functions), including those that are hidden until their instant.
    `oldest_s`: seconds for which the oldest ready ticket or message waits; None: no ticket is late.
    `poison_count`: messages on the poison queue, which are not dead letters yet.
    """

    waiting_count: int
    oldest_s: float | None = None
    poison_count: int = 0


class QueueDepthReader(Protocol):
    """Measures the queue of tickets."""

    async def read_depth(self) -> QueueDepth:
        """Raises DispatchError."""
        ...


class DispatchError(Exception):
    """Tickets could not be sent. The message names what is unavailable and what to check."""


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
