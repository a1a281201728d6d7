"""Records the changes of states, and caches the current states. Called by scheduler.worker.publishing,
scheduler.features.jobs.service and scheduler.changes.upkeep; queries read it through a port.

A run that changes nothing costs no request: the states of all jobs are read once. The changes of other processes are
read at most once in REFRESH_INTERVAL, and all states again in RELOAD_INTERVAL. A state that another process has changed
meanwhile is found by its etag.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from jobs.ports import Clock
from jobs.runs import Run
from jobs.runs.states import StateChange, change_by_run, state_of_run
from scheduler.stores.changes import StateChanges, StoredState
from scheduler.stores.port import LARGEST_PAGE, RowChanged, RowExists, StoreError, StoreUnavailable

_log = logging.getLogger("scheduler.changes")

REFRESH_INTERVAL = 5.0
RELOAD_INTERVAL = 600.0
"""Seconds."""
REFRESHED_PERIOD = timedelta(minutes=5)
"""A change is stored within this time, apart from outages of the store."""
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
        self._refresh_at: float | None = None
        self._reload_at = 0.0
        self._lock = asyncio.Lock()

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
            if self._is_newer(change):
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
            page = await self._changes.list_page(since=since, limit=LARGEST_PAGE)
            self._changed_elsewhere |= {change.job for change in page.changes if self._is_newer(change)}
            if len(page.changes) < LARGEST_PAGE:
                return
        states = await self._changes.read_states()
        # A change of this process may have been stored while they were read.
        for job, stored in states.items():
            if self._is_newer(stored.change):
                self._states[job] = stored
                self._changed_elsewhere.discard(job)
        self._reload_at = now + RELOAD_INTERVAL

    def _is_newer(self, change: StateChange) -> bool:
        known = self._states.get(change.job)
        return known is None or known.change.number < change.number
