"""Which ticks of the scheduler have a span. Used by telemetry, on the loop.

A tick that planned nothing has none. Times are those of the ticks, so nothing here waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, Protocol

from jobs.policies.telemetry import RowSelection
from jobs.runs import Ticket
from observability.sampling import SAMPLE_INTERVAL

MAX_LINKED_RUNS: Final = 64
"""Runs that a span links. Application Insights stores a text of 8,192 characters for all links of a span."""


@dataclass(frozen=True, slots=True)
class TickPlanned:
    """A tick that planned runs. Not logged. `run_ids`: of at most MAX_LINKED_RUNS of them.

    `missed`: spans of due instants that passed without a tick.
    """

    at: datetime
    ended_at: datetime
    planned: int
    missed: int
    run_ids: tuple[str, ...]


class TickPlan(Protocol):
    """A plan of scheduler.planning."""

    @property
    def on_time(self) -> Sequence[Ticket]: ...

    @property
    def caught_up(self) -> Sequence[Sequence[Ticket]]: ...

    @property
    def missed(self) -> Sized: ...

    @property
    def ticket_count(self) -> int: ...


class TickSampler:
    """`failures`: ticks that found missed instants, and one of the others in 15 minutes."""

    def __init__(self, spans: RowSelection) -> None:
        self._spans = spans
        self._sent_at: datetime | None = None

    def select_tick(
        self, at: datetime, ended_at: datetime, tickets: Iterable[Ticket], planned: int, missed: int
    ) -> TickPlanned | None:
        """Return the tick if it has a span. `planned`: the number of tickets."""
        if self._spans == "none" or not (planned or missed):
            return None
        is_due = self._sent_at is None or at - self._sent_at >= SAMPLE_INTERVAL
        if self._spans == "failures" and not (missed or is_due):
            return None
        self._sent_at = at
        ids = tuple(ticket.id for ticket in islice(tickets, MAX_LINKED_RUNS))
        return TickPlanned(at, ended_at, planned, missed, ids)
