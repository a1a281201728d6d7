"""Records changes that no run causes: jobs that were disabled, enabled, removed or added, and pauses that ended or were
set by a process that ended. Created by scheduler.app.program, called by both hosts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime

from jobs.ports import Clock
from jobs.runs.states import Cause, JobStatus, StateChange, enter_state
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.changes.tracker import StateTracker
from scheduler.stores.changes import StoredState
from scheduler.stores.gates import Pause, Pauses
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.changes")

_LEFT = {
    JobStatus.PAUSED: Cause("pause_ended", "the pause has ended"),
    JobStatus.DISABLED: Cause("job_enabled", "the job is enabled"),
    JobStatus.REMOVED: Cause("job_added", "the job was added again"),
}
_DISABLED = Cause("job_disabled", "the job is disabled")
_REMOVED = Cause("job_removed", "the job was removed")

Deviation = tuple[str, JobStatus, datetime, Cause]
"""A job, the state that it should have, since when, and why."""


class StateUpkeep:
    def __init__(
        self, catalog: Catalog, pauses: Pauses, tracker: StateTracker, clock: Clock, *, is_complete: bool = True
    ) -> None:
        """`is_complete`: the catalog has all jobs. Otherwise none is recorded as removed before it is replaced."""
        self._catalog = catalog
        self._pauses = pauses
        self._tracker = tracker
        self._clock = clock
        self._incomplete = None if is_complete else catalog.snapshot
        self._compared: tuple[JobSnapshot, Mapping[str, Pause]] | None = None

    async def tick(self) -> None:
        """Record what differs from the definitions and pauses. After a failure the next tick repeats it."""
        now, jobs = self._clock.now(), self._catalog.snapshot
        pauses = await self._pauses.list_active(now, fresh=True)
        if self._compared is not None and self._compared[0] is jobs and self._compared[1] == pauses:
            return
        try:
            states = await self._tracker.current_states()
            for deviation in tuple(self._deviations(jobs, pauses, states, now)):
                await self._correct(*deviation)
        except StoreError as error:
            _log.warning("could not record the states of jobs: %s; the next tick retries", error)
            return
        self._compared = jobs, pauses

    async def _correct(self, job: str, state: JobStatus, at: datetime, cause: Cause) -> None:
        def decide(current: StateChange | None) -> StateChange | None:
            if state is JobStatus.UNKNOWN and (current is None or not current.state.is_suspended):
                return None
            return enter_state(current, job, state, at, cause)

        await self._tracker.record(job, decide)

    def _deviations(
        self, jobs: JobSnapshot, pauses: Mapping[str, Pause], states: Mapping[str, StoredState], now: datetime
    ) -> Iterator[Deviation]:
        for entry in jobs:
            name, stored = entry.job.name, states.get(entry.job.name)
            current = None if stored is None else stored.change.state
            if not entry.job.enabled:
                if current is not JobStatus.DISABLED:
                    yield name, JobStatus.DISABLED, now, _DISABLED
            elif (pause := pauses.get(name)) is not None:
                if current is not JobStatus.PAUSED:
                    yield name, JobStatus.PAUSED, pause.since, Cause("job_paused", pause.reason)
            elif current is not None and current.is_suspended:
                ended = self._pauses.find_ended(name, now) if current is JobStatus.PAUSED else None
                yield name, JobStatus.UNKNOWN, (ended and ended.until) or now, _LEFT[current]
        if jobs is not self._incomplete:
            for name, stored in states.items():
                if name not in jobs and stored.change.state is not JobStatus.REMOVED:
                    yield name, JobStatus.REMOVED, now, _REMOVED
