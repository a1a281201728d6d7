"""The definition in force decides, whichever a ticket was made for: what it has no run for is left out, and so is a
disabled job, unless people ask for it."""

from __future__ import annotations

from jobs.reasons import Reason, ReasonCode
from jobs.runs import Ticket, Trigger
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates.port import GateVerdict, Skip


class DefinitionGate:
    """What people ask for runs though the job is disabled."""

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        # Replays are by the definition in force, whichever that is when they run.
        return not ticket.trigger.is_rerun

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        if ticket.trigger is not Trigger.MANUAL and not entry.job.enabled:
            return Skip(Reason(ReasonCode.JOB_DISABLED, "the job is disabled"))
        if ticket.generation != entry.generation and not _includes(ticket, entry):
            why = "the job was changed after this run was planned, and has none then any more"
            return Skip(Reason(ReasonCode.JOB_CHANGED, why))
        return None

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """It holds nothing."""


def _includes(ticket: Ticket, entry: CatalogJob) -> bool:
    """Whether the definition in force has this run, too, which was planned by another one."""
    match ticket.trigger:
        case Trigger.SCHEDULE:
            # An instant that both schedules have is one run: planned again, it has the same id.
            return entry.is_due(ticket.due_at)
        case Trigger.DEPENDENCY:
            return entry.job.schedule is None and bool(entry.job.depends_on)
        case _:
            return True
