"""The definition in force: a ticket of another one is not run, nor is a disabled job, unless people ask for it."""

from __future__ import annotations

from jobs.runs import Ticket, Trigger
from scheduler.catalog import Entry
from scheduler.gates.port import Skip, Verdict


class DefinitionGate:
    """What people ask for runs though the job is disabled."""

    def concerns(self, ticket: Ticket, entry: Entry) -> bool:
        # Replays are by the definition in force, whichever that is when they run.
        return ticket.trigger is not Trigger.REPLAY

    async def ask(self, ticket: Ticket, entry: Entry) -> Verdict:
        if ticket.generation != entry.generation:
            return Skip("the job was changed after this run was planned; the new definition has its own runs")
        if ticket.trigger is not Trigger.MANUAL and not entry.job.enabled:
            return Skip("the job is disabled")
        return None

    async def leave(self, ticket: Ticket, entry: Entry) -> None:
        """It holds nothing."""
