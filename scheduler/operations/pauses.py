"""Pauses and resumes a job. A paused job has no scheduled runs; a user can still start one.

Called by scheduler.api and the commands.
"""

from __future__ import annotations

import logging
from datetime import datetime

from jobs.formats.instants import format_iso_instant
from jobs.ports import Clock
from jobs.runs.states import Cause, JobStatus, enter_state
from scheduler.audit.recording import audited
from scheduler.audit.trail import AuditedChange, AuditTrail
from scheduler.catalog.catalog import Catalog
from scheduler.changes.tracking import StateTracker
from scheduler.identity.caller import Caller
from scheduler.operations.arguments import check_end, check_reason
from scheduler.stores.pauses import Pause, Pauses
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.pauses")


class JobPauser:
    def __init__(self, catalog: Catalog, pauses: Pauses, clock: Clock, audit: AuditTrail, states: StateTracker) -> None:
        self._catalog = catalog
        self._pauses = pauses
        self._clock = clock
        self._audit = audit
        self._states = states

    async def pause(self, name: str, *, until: datetime | None = None, reason: str = "", caller: Caller) -> bool:
        """Pause a job until an instant or a resume. A job that is already paused gets the new end and reason.

        Return False if it was paused with the same end and reason.

        Raises:
            UnknownJob: no job has that name.
            InvalidArgument: `until` is in the past, or the reason is too long.
            StoreError: nothing was changed.
        """
        self._catalog.get_job(name)
        check_reason(reason)
        now = self._clock.now()
        check_end(until, now)
        before = await self._pauses.find_active(name, now)
        if before is not None and (before.until, before.reason) == (until, reason):
            return False
        pause = Pause(name, now if before is None else before.since, until, reason)
        change = AuditedChange(
            "job.pause", name, f"job {name} was {pause}", (name,), _pause_fields(before), _pause_fields(pause)
        )
        async with audited(self._audit, caller, change):
            await self._pauses.set_pause(pause)
        await self._record_state(name, JobStatus.PAUSED, now, Cause("job_paused", reason))
        return True

    async def resume(self, name: str, *, caller: Caller) -> bool:
        """End the pause. Return False if the job was not paused.

        Raises:
            UnknownJob: no job has that name.
            StoreError: nothing was changed.
        """
        self._catalog.get_job(name)
        now = self._clock.now()
        before = await self._pauses.find_active(name, now)
        if before is None:
            return False
        change = AuditedChange("job.resume", name, f"job {name} was resumed", (name,), _pause_fields(before))
        async with audited(self._audit, caller, change):
            await self._pauses.resume(name, now)
        await self._record_state(name, JobStatus.UNKNOWN, now, Cause("job_resumed", "the job was resumed"))
        return True

    async def _record_state(self, name: str, state: JobStatus, at: datetime, cause: Cause) -> None:
        """Record the new state, unless the job is disabled. The pause is in force already, so a failure is logged."""
        if not self._catalog.get_job(name).job.enabled:
            return
        try:
            await self._states.record(name, lambda current: enter_state(current, name, state, at, cause))
        except StoreError as error:
            _log.warning("could not record the state of job %s: %s; the scheduler records it later", name, error)


def _pause_fields(pause: Pause | None) -> dict[str, str | None] | None:
    if pause is None:
        return None
    until = None if pause.until is None else format_iso_instant(pause.until)
    return {"since": format_iso_instant(pause.since), "until": until, "reason": pause.reason}
