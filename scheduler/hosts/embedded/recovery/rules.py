"""What becomes of an open run whose process has died. Pure; used by recovering."""

from __future__ import annotations

from datetime import datetime

from jobs.ports import Clock
from jobs.reasons import Reason, ReasonCode
from jobs.running.run_factories import interrupted_run, skipped_run
from jobs.runs import Run, Trigger
from scheduler.catalog.catalog import CatalogJob
from scheduler.hosts.embedded.ticker import ON_TIME_TOLERANCE
from scheduler.stores.dead_letters.repository import DeadLetter
from scheduler.stores.runs.repository import RunRecord, RunState


def end_without_rerun(record: RunRecord, entry: CatalogJob | None, clock: Clock, since: datetime) -> Run | None:
    """Return how the run ends without being run again; None if it is to be run. `since`: when recovery began.

    `entry` None: there is no such job now. Being late counts until recovery began, not until it comes to this run.
    """
    ticket = record.ticket
    if record.state is RunState.QUEUED:
        # One that was asked for, or given back by a process that was told to stop.
        if entry is None or _is_still_required(record, entry, since):
            return None
        why = f"it fell due while no scheduler was running (catch_up: {entry.job.catch_up.policy})"
        return skipped_run(entry.job, ticket, clock, Reason(ReasonCode.MISSED, why))
    if entry is not None and entry.job.effect == "repeatable" and _is_still_required(record, entry, since):
        return None
    return interrupted_run(ticket, ticket.due_at, clock.now(), None if entry is None else entry.job)


def dead_letter_for(record: RunRecord, run: Run, entry: CatalogJob | None) -> DeadLetter | None:
    """Return the dead letter of a run that ends so, if it leaves one."""
    if entry is None or not (entry.job.dead_letter and run.outcome.down):
        return None
    return DeadLetter.from_run(run, record.ticket, entry.job)


def _is_still_required(record: RunRecord, entry: CatalogJob, since: datetime) -> bool:
    """Whether the run is still to happen. What was asked for is; a due instant that has passed goes by the job's
    catch-up policy."""
    job, ticket = entry.job, record.ticket
    late = since - ticket.due_at
    if ticket.trigger is not Trigger.SCHEDULE or late <= ON_TIME_TOLERANCE or job.schedule is None:
        return True
    if job.catch_up.policy == "none" or late.total_seconds() > job.catch_up.within:
        return False
    following = job.schedule.next_after(ticket.due_at)
    return job.catch_up.policy == "all" or following is None or following > since
