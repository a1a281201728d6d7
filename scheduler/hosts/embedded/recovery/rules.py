"""The rules for an open run whose process has died. Pure; called by scheduler.hosts.embedded.recovery.sweep."""

from __future__ import annotations

from datetime import datetime

from jobs.ports import Clock
from jobs.running.run_factories import interrupted_run, skipped_run
from jobs.runs import Run, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.hosts.embedded.ticker import ON_TIME_TOLERANCE
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.runs.repository import RunRecord, RunState


def end_without_rerun(record: RunRecord, entry: CatalogJob | None, clock: Clock, since: datetime) -> Run | None:
    """Return the end of a run that is not executed again; None if it must be executed.

    `entry` None: the job was removed. `since`: the start of the recovery, by which lateness counts.
    """
    ticket = record.ticket
    if record.state is RunState.QUEUED:
        # A requested run, or one that a stopping process released.
        if entry is None or _is_still_required(record, entry, since):
            return None
        why = f"it was due while no scheduler was running (catch_up: {entry.job.catch_up.policy})"
        return skipped_run(entry.job, ticket, clock, Reason(ReasonCode.MISSED, why))
    if entry is not None and entry.job.effect == "repeatable" and _is_still_required(record, entry, since):
        return None
    return interrupted_run(ticket, ticket.due_at, clock.now(), None if entry is None else entry.job)


def dead_letter_for(record: RunRecord, run: Run, entry: CatalogJob | None) -> DeadLetter | None:
    """Return the dead letter of a run that ends so; None if its job requires none."""
    if entry is None or not (entry.job.dead_letter and run.outcome.down):
        return None
    return DeadLetter.from_run(run, record.ticket, entry.job)


def _is_still_required(record: RunRecord, entry: CatalogJob, since: datetime) -> bool:
    """Return whether the run must still be executed: a requested run, or one that the catch-up policy includes."""
    job, ticket = entry.job, record.ticket
    late = since - ticket.due_at
    if ticket.trigger is not Trigger.SCHEDULE or late <= ON_TIME_TOLERANCE or job.schedule is None:
        return True
    if job.catch_up.policy == "none" or late.total_seconds() > job.catch_up.within:
        return False
    following = job.schedule.next_after(ticket.due_at)
    return job.catch_up.policy == "all" or following is None or following > since
