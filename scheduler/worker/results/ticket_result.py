"""The result of a ticket, with the skipped, cancelled and interrupted runs of the worker.

Called by scheduler.worker.execution and scheduler.worker.finishing.
"""

from __future__ import annotations

from jobs.definition import JobDefinition
from jobs.fast_frozen import fast_frozen
from jobs.ports import Clock
from jobs.running.run_factories import cancelled_run, interrupted_run, skipped_run
from jobs.runs import Run, Ticket
from scheduler.gates import Skip, Wait
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.runs.open_runs import AlreadyClaimed


@fast_frozen(frozen=True, slots=True)
class TicketResult:
    """A run to record with its dead letter, or the reason why the ticket was not run (`not_run`)."""

    run: Run | None = None
    letter: DeadLetter | None = None
    not_run: AlreadyClaimed | Wait | None = None

    @staticmethod
    def executed(run: Run, ticket: Ticket, job: JobDefinition, traceback: str = "") -> TicketResult:
        """Return the result of a run that was executed or interrupted."""
        if not (job.dead_letter and run.outcome.down):
            return TicketResult(run)
        return TicketResult(run, DeadLetter.from_run(run, ticket, job, traceback))

    @staticmethod
    def interrupted(ticket: Ticket, job: JobDefinition, clock: Clock) -> TicketResult:
        """Return the result of a run that must not be executed again, and whose process died."""
        return TicketResult.executed(interrupted_run(ticket, ticket.due_at, clock.now(), job), ticket, job)

    @staticmethod
    def denied(ticket: Ticket, job: JobDefinition | None, clock: Clock, denial: Skip | Wait) -> TicketResult:
        """Return the result of a ticket without a place, or that a gate skips or holds."""
        if isinstance(denial, Wait):
            return TicketResult(not_run=denial)
        if denial.cancelled_by and job is not None:
            now = clock.now()
            return TicketResult(cancelled_run(job, ticket, now, now, cancelled_by=denial.cancelled_by))
        return TicketResult(skipped_run(job, ticket, clock, denial.reason))
