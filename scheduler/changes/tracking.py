"""Records the changes of the states of jobs and of the entries of their health documents.

A run that changes nothing costs no request and no await: the states of all jobs are read once, and those that other
processes changed at most once in REFRESH_INTERVAL; all states again in RELOAD_INTERVAL. A state that another process
has changed meanwhile is found by its etag. `StateUpkeep` records what no run causes: jobs that were disabled, enabled,
removed or added, and pauses that ended or were set by a process that ended.

A run without a health document costs nothing. The history of a job is read with its first document, and again once it
is older than REREAD_INTERVAL, because another process may have written it: then a change is recorded that much later,
but never lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.definition import JobDefinition
from jobs.expectations.health.document import list_missing
from jobs.ports import Clock
from jobs.runs import Run
from jobs.runs.health_history import health_of_run, update_history
from jobs.runs.states import Cause, JobStatus, StateChange, change_by_run, enter_state, state_of_run
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.stores.changes import HealthHistories, StateChanges, StoredHealthHistory, StoredState, read_position
from scheduler.stores.gates import Pause, Pauses
from scheduler.stores.port import MAX_PAGE, RowChanged, RowExists, StoreError, StoreUnavailable

_log = logging.getLogger("scheduler.changes")

REFRESH_INTERVAL = 5.0
RELOAD_INTERVAL = 600.0
"""Seconds."""
REFRESHED_PERIOD = timedelta(minutes=5)
"""A change is stored within this time, apart from outages of the store."""
MAX_REFRESHED_CHANGES = 10 * MAX_PAGE
"""Of this time. With more of them, all states are read."""
MAX_CONFLICTS = 10

Decision = Callable[[StateChange | None], StateChange | None]
"""Returns the change of a current state, None if it does not change."""


class StateTracker:
    """Methods that await raise StoreError."""

    def __init__(self, changes: StateChanges, clock: Clock) -> None:
        self._changes = changes
        self._clock = clock
        self._states: dict[str, StoredState] = {}
        self._changed_elsewhere: set[str] = set()
        """Jobs whose state is read again before its next use."""
        self._seen: set[str] = set()
        """The positions of the changes that the last refresh found."""
        self._refresh_at: float | None = None
        self._reload_at = 0.0
        self._lock = asyncio.Lock()

    def is_unchanged_by(self, run: Run) -> bool:
        """Consider a finished run that shows the state that its job has. False: `record_run` must be called."""
        stored, state = self._states.get(run.job), state_of_run(run)
        if state is None:
            return True
        if stored is None or not stored.change.shows(state) or run.job in self._changed_elsewhere or self._is_stale():
            return False
        self._states[run.job] = StoredState(stored.change.considering(run), stored.etag)
        return True

    async def record_run(self, run: Run) -> StateChange | None:
        """Record the change that a finished run causes. A repetition changes nothing."""
        if state_of_run(run) is None:
            return None
        change = await self.record(run.job, lambda current: change_by_run(current, run))
        stored = self._states.get(run.job)
        if stored is not None and change is None:
            self._states[run.job] = replace(stored, change=stored.change.considering(run))
        return change

    async def record(self, job: str, decide: Decision) -> StateChange | None:
        """Record the change that `decide` returns for the current state."""
        await self._refresh()
        for _ in range(MAX_CONFLICTS):
            if job in self._changed_elsewhere:
                await self._read_again(job)
            stored = self._states.get(job)
            change = decide(None if stored is None else stored.change)
            if change is None:
                return None
            try:
                written = await self._changes.write(change, "" if stored is None else stored.etag)
            except (RowExists, RowChanged):
                self._changed_elsewhere.add(job)
                continue
            except StoreUnavailable:
                self._changed_elsewhere.add(job)  # it is unknown whether the change was stored
                raise
            if self._is_newer(job, change.number):
                self._states[job] = written
            return change
        raise StoreError(f"could not record the state of job {job}: other processes changed it {MAX_CONFLICTS} times")

    async def current_states(self) -> Mapping[str, StoredState]:
        """Return the state of each job; a change by another process appears after REFRESH_INTERVAL."""
        await self._refresh()
        for job in tuple(self._changed_elsewhere):
            await self._read_again(job)
        return self._states

    async def states_of(self, jobs: Sequence[str]) -> Mapping[str, StateChange]:
        """Return the states of these jobs; a change by another process appears after REFRESH_INTERVAL."""
        await self._refresh()
        await asyncio.gather(*(self._read_again(job) for job in self._changed_elsewhere.intersection(jobs)))
        return {job: stored.change for job in jobs if (stored := self._states.get(job)) is not None}

    async def _read_again(self, job: str) -> None:
        stored = await self._changes.read_state(job)
        if stored is None:
            self._states.pop(job, None)
        else:
            self._states[job] = stored
        self._changed_elsewhere.discard(job)

    async def _refresh(self) -> None:
        if not self._is_stale():
            return
        async with self._lock:
            if not self._is_stale():
                return
            is_first = self._refresh_at is None
            try:
                await self._read_changes()
            except StoreError as error:
                if is_first:
                    raise
                _log.warning("could not read the states of jobs: %s; those read before stay in use", error)
            self._refresh_at = self._clock.monotonic() + REFRESH_INTERVAL

    def _is_stale(self) -> bool:
        return self._refresh_at is None or self._clock.monotonic() >= self._refresh_at

    async def _read_changes(self) -> None:
        now = self._clock.monotonic()
        if self._refresh_at is not None and now < self._reload_at:
            since = self._clock.now() - REFRESHED_PERIOD
            positions = await self._changes.list_positions(since, limit=MAX_REFRESHED_CHANGES)
            unseen, self._seen = positions - self._seen, positions
            self._changed_elsewhere |= {
                job for job, number in map(read_position, unseen) if self._is_newer(job, number)
            }
            if len(positions) < MAX_REFRESHED_CHANGES:
                return
        states = await self._changes.read_states()
        # A change of this process may have been stored while they were read.
        for job, stored in states.items():
            if self._is_newer(job, stored.change.number):
                self._states[job] = stored
                self._changed_elsewhere.discard(job)
        self._reload_at = now + RELOAD_INTERVAL

    def _is_newer(self, job: str, number: int) -> bool:
        known = self._states.get(job)
        return known is None or known.change.number < number


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
    """Records states that change without a run: by a definition or a pause."""

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


REREAD_INTERVAL = 60.0
"""Seconds."""
MAX_WRITE_CONFLICTS = 10


class HealthTracker:
    """`redact`: for names of entries."""

    def __init__(self, histories: HealthHistories, clock: Clock, redact: Callable[[str], str] = str) -> None:
        self._histories = histories
        self._clock = clock
        self._redact = redact
        self._known: dict[str, tuple[StoredHealthHistory | None, float]] = {}
        """By job: its history, and the monotonic instant at which it was read or written."""

    def is_unchanged_by(self, run: Run) -> bool:
        """Return whether a finished run has no health document. False: `record_run` must be called."""
        return health_of_run(run) is None

    async def name_missing(self, run: Run, job: JobDefinition) -> Run:
        """Return a run that is not recorded yet; its message names the entries that are missing since then."""
        if health_of_run(run) is None or (rules := job.entry_rules) is None:
            return run
        try:
            stored = await self._read(run.job)
        except StoreError as error:
            _log.warning("could not read the entries of job %s: %s; the run does not name missing ones", run.job, error)
            return run
        history = None if stored is None else update_history(stored.history, run)
        names = "" if history is None else self._redact(list_missing(history, run.finished_at, rules))
        return replace(run, message=f"{run.message} No longer reported: {names}.".lstrip()) if names else run

    async def record_run(self, run: Run) -> None:
        """Record the entries that a finished run has changed. A repetition changes nothing. Raises StoreError."""
        if health_of_run(run) is None:
            return
        for _ in range(MAX_WRITE_CONFLICTS):
            stored = await self._read(run.job)
            history = update_history(None if stored is None else stored.history, run)
            if history is None:
                if stored is not None:
                    _, read_at = self._known[run.job]
                    considered = StoredHealthHistory(stored.history.considering(run), stored.etag)
                    self._known[run.job] = considered, read_at
                return
            try:
                written = await self._histories.write(history, "" if stored is None else stored.etag)
            except (RowExists, RowChanged):
                self._known.pop(run.job, None)
                continue
            except StoreError:
                self._known.pop(run.job, None)  # it is unknown whether the history was stored
                raise
            self._known[run.job] = written, self._clock.monotonic()
            return
        raise StoreError(
            f"could not record the health entries of job {run.job}: other processes changed them "
            f"{MAX_WRITE_CONFLICTS} times"
        )

    async def _read(self, job: str) -> StoredHealthHistory | None:
        now = self._clock.monotonic()
        known = self._known.get(job)
        if known is not None and now < known[1] + REREAD_INTERVAL:
            return known[0]
        stored = await self._histories.read(job)
        self._known[job] = stored, now
        return stored
