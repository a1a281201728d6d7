"""Missed due instants that are not run, as one record. Made by planning.plan, recorded by the worker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from jobs.reasons import Reason, ReasonCode
from jobs.runs import Ticket
from scheduler.catalog.catalog import CatalogJob
from scheduler.planning.catch_up import latest_instant

NO_SCHEDULER_CAUSE = Reason(ReasonCode.MISSED, "it fell due while no scheduler was running, or while it stood still")


@dataclass(frozen=True, slots=True)
class MissedSpan:
    """A job's instants from `first` to `last` that have no run: recorded as one skipped run, at the last. `cause`: why;
    its sentence is the beginning of theirs."""

    entry: CatalogJob
    first: datetime
    last: datetime
    cause: Reason = NO_SCHEDULER_CAUSE

    @property
    def ticket(self) -> Ticket:
        return Ticket.scheduled(self.entry.job.name, self.last, self.entry.generation)

    @property
    def reason(self) -> Reason:
        """The one sentence for all of them: a row for each would be many for a job of each second."""
        before = ""
        if self.last != self.first:
            before = f", like those before it since {self.first:%Y-%m-%d %H:%M:%S}Z that have no run"
        policy = f" (catch_up: {self.entry.job.catch_up.policy})" if self.cause.code is ReasonCode.MISSED else ""
        return Reason(self.cause.code, f"{self.cause}{before}{policy}")

    def without_last(self) -> MissedSpan | None:
        """The same without the last one, which turns out to have a run; None if it was the only one."""
        schedule = self.entry.job.schedule
        last = None if schedule is None else latest_instant(schedule, self.first, self.last)
        return None if last is None else replace(self, last=last)
