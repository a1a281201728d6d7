"""The protocol of a gate and its verdicts.

Implemented by the modules of this package, called by scheduler.gates.gates.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobs.runs import Ticket
from jobs.runs.outcomes import Reason
from scheduler.catalog.catalog import CatalogJob


@dataclass(frozen=True, slots=True)
class Skip:
    """The ticket is recorded as skipped with this reason, whose message has no full stop.

    `cancelled_by`: the source of a cancellation, such as `by run ID`; the ticket is then recorded as cancelled.
    """

    reason: Reason
    cancelled_by: str = ""

    def __str__(self) -> str:
        return self.reason.message


@dataclass(frozen=True, slots=True)
class Wait:
    """The ticket cannot run yet: check it again at `retry_at`, or earlier. `reason`: the cause of the wait."""

    retry_at: datetime
    reason: Reason

    def __str__(self) -> str:
        return self.reason.message


GateVerdict = Skip | Wait | None
"""None: the ticket may run."""


class Gate(Protocol):
    """A condition that lets a ticket run, wait or be skipped.

    The worker calls `applies_to`, then `check` at the due instant and again while the verdict is Wait, and `release` at
    the end. A gate that admitted a ticket holds its resources while a later gate lets the ticket wait.
    """

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        """Return whether this gate applies to the ticket. Must be cheap, because every ticket is checked."""
        ...

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        """Return the verdict about a ticket. May be called again after the ticket was admitted.

        Raises:
            StoreError: the condition cannot be read now; the ticket waits.
        """
        ...

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """Release the resources of a ticket that neither waits nor runs here any more, admitted or not.

        May be called twice. Raises nothing.
        """
        ...
