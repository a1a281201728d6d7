"""The gate of the current definition: skips runs that the job no longer has, and scheduled runs of disabled jobs.

Built by scheduler.gates.
"""

from __future__ import annotations

from jobs.runs import Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates.port import GateVerdict, Skip


class DefinitionGate:
    """A manual run is executed even if the job is disabled."""

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        # A replay runs by the current definition.
        return not ticket.trigger.is_rerun

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        if ticket.trigger is not Trigger.MANUAL and not entry.job.enabled:
            return Skip(Reason(ReasonCode.JOB_DISABLED, "the job is disabled"))
        if ticket.generation != entry.generation and not _includes(ticket, entry):
            why = "the job's new definition no longer includes this run"
            return Skip(Reason(ReasonCode.JOB_CHANGED, why))
        return None

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """Nothing to release."""


def _includes(ticket: Ticket, entry: CatalogJob) -> bool:
    """Return whether the current definition has this run, which another definition planned."""
    match ticket.trigger:
        case Trigger.SCHEDULE:
            # An instant of both schedules is one run: planned again, it has the same id.
            return entry.is_due(ticket.due_at)
        case Trigger.DEPENDENCY:
            return entry.job.schedule is None and bool(entry.job.depends_on)
        case _:
            return True
