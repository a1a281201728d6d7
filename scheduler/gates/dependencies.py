"""The gate of dependencies: a scheduled run waits until the newest runs of other jobs meet its conditions.

Built by scheduler.gates. A job without a schedule is started by scheduler.dependencies.trigger instead.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from jobs.definition.dependencies import Dependency
from jobs.formats.durations import format_duration
from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates.port import GateVerdict, Skip, Wait
from scheduler.gates.wakeups import recheck_backoff
from scheduler.stores.runs.repository import Runs

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
        return Wait(min(until, now + pause), Reason(ReasonCode.DEPENDENCY, reason))

    async def _unmet_reason(self, dependency: Dependency, now: datetime) -> str | None:
        record = await self._runs.find_latest(dependency.job, fresh=True)
        return dependency.explain_unmet(None if record is None else record.run, now)

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """Nothing to release."""
