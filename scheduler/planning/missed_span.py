"""Missed instants that do not run, as one record. Made by scheduler.planning.plan, recorded by scheduler.worker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from jobs.formats.instants import format_instant
from jobs.runs import Ticket
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.planning.catch_up import latest_instant

NO_SCHEDULER_CAUSE = Reason(
    ReasonCode.MISSED, "it was due while no scheduler was running, or while the scheduler stalled"
)


@dataclass(frozen=True, slots=True)
class MissedSpan:
    """A job's instants from `first` to `last` without a run, recorded as one skipped run at the last.

    `cause`: why; its message is the start of the message of the record.
    """

    entry: CatalogJob
    first: datetime
    last: datetime
    cause: Reason = NO_SCHEDULER_CAUSE

    @property
    def ticket(self) -> Ticket:
        return Ticket.scheduled(self.entry.job.name, self.last, self.entry.generation)

    @property
    def reason(self) -> Reason:
        """One sentence for all instants: a job of each second would need too many rows."""
        before = ""
        if self.last != self.first:
            before = f", as were the instants without a run since {format_instant(self.first)}"
        policy = f" (catch_up: {self.entry.job.catch_up.policy})" if self.cause.code is ReasonCode.MISSED else ""
        return Reason(self.cause.code, f"{self.cause}{before}{policy}")

    def without_last(self) -> MissedSpan | None:
        """Return the span without its last instant, which has a run; None if it was the only one."""
        schedule = self.entry.job.schedule
        last = None if schedule is None else latest_instant(schedule, self.first, self.last)
        return None if last is None else replace(self, last=last)
