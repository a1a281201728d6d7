"""What a gate is, and what it may say. Implemented by every module beside this one, asked through Gates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobs.reasons import Reason
from jobs.runs import Ticket
from scheduler.catalog.catalog import CatalogJob


@dataclass(frozen=True, slots=True)
class Skip:
    """The ticket is not run: it is recorded as skipped with this reason, whose sentence has no full stop.

    `asked`: how somebody asked for its end, such as `by run ID`; it is recorded as cancelled then.
    """

    reason: Reason
    cancelled_by: str = ""

    def __str__(self) -> str:
        return self.reason.message


@dataclass(frozen=True, slots=True)
class Wait:
    """The ticket cannot run yet: ask again at `until`, or earlier. `reason`: what it waits for."""

    claimable_at: datetime
    reason: Reason

    def __str__(self) -> str:
        return self.reason.message


GateVerdict = Skip | Wait | None
"""None: nothing keeps the ticket from running."""


class Gate(Protocol):
    """One thing that may keep a ticket from running.

    `concerns`, then `ask` at the due instant, again and again while it says Wait, and `leave` once it is all over. What
    let a ticket in goes on to hold it while a later gate lets it wait.
    """

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        """Whether it has anything to say about this ticket; at once and without cost, as every ticket is asked."""
        ...

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        """May be asked again of a ticket that it has let in already.

        Raises:
            StoreError: it cannot be known now; the ticket waits.
        """
        ...

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """The ticket neither waits nor runs here any more, whatever became of it, and whether it was let in or not.

        May come twice. Raises nothing.
        """
        ...
