"""The gates that hold nothing: the current definition, pauses, and dependencies on the newest runs of other jobs.

Runs that the job no longer has, scheduled runs of disabled jobs, and scheduled and dependent runs of paused jobs are
skipped. A scheduled run waits until its dependencies are met; a job without a schedule is started by
scheduler.dependencies instead.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from jobs.definition.dependencies import Dependency
from jobs.formats import format_duration
from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates.gates import GateVerdict, Skip, Wait, recheck_backoff
from scheduler.stores.gates import Pauses
from scheduler.stores.runs.repository import Runs


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


class PauseGate:
    def __init__(self, pauses: Pauses, clock: Clock) -> None:
        self._pauses = pauses
        self._clock = clock

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        # A manual run is executed even if the job is paused, so the store is not read.
        return ticket.trigger is not Trigger.MANUAL and not ticket.trigger.is_rerun

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        pause = (await self._pauses.list_active(self._clock.now())).get(ticket.job)
        return None if pause is None else Skip(Reason(ReasonCode.JOB_PAUSED, f"the job is {pause}"))

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """Nothing to release."""


MAX_DEPENDENCY_BACKOFF = timedelta(seconds=5)
"""Between two checks of a run that waits."""


class DependencyGate:
    def __init__(self, runs: Runs, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        # A manual run does not depend on other jobs.
        return bool(entry.job.depends_on) and ticket.trigger is Trigger.SCHEDULE

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        now = self._clock.now()
        depends_on = entry.job.depends_on
        reasons = await asyncio.gather(*(self._unmet_reason(dependency, now) for dependency in depends_on))
        unmet = [(one, reason) for one, reason in zip(depends_on, reasons, strict=True) if reason is not None]
        if not unmet:
            return None
        ends = [(ticket.due_at + timedelta(seconds=one.wait), one, reason) for one, reason in unmet]
        until, dependency, reason = min(ends, key=lambda end: end[0])
        if until <= now:
            waited = f"; it waited {format_duration(dependency.wait)} for that" if dependency.wait else ""
            return Skip(Reason(ReasonCode.DEPENDENCY, reason + waited))
        pause = recheck_backoff(now - ticket.due_at, MAX_DEPENDENCY_BACKOFF)
        reason_to_wait = Reason(ReasonCode.DEPENDENCY, reason)
        return Wait(min(until, now + pause), reason_to_wait, f"dependency {dependency.job}")

    async def _unmet_reason(self, dependency: Dependency, now: datetime) -> str | None:
        record = await self._runs.find_latest(dependency.job, fresh=True)
        return dependency.explain_unmet(None if record is None else record.run, now)

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """Nothing to release."""
