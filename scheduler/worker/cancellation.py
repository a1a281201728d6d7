"""Registers the runs that are in-flight or wait in this process, cancels them, and reports their ends.

Built by scheduler.app.operations. Cancellation requests of other processes are in the store. They are read only while
a run lasts longer than a few seconds, once for all runs, so short runs cost nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Protocol
from weakref import WeakValueDictionary

from jobs.ports import Clock
from jobs.runs import Run, Ticket
from scheduler.stores.gates import Cancellations
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.worker")

LONG_RUN_AFTER = 3.0
"""Seconds after which a run is long: the registry then checks the store for cancellation requests."""
LONG_WAIT_AFTER = 1.0
"""The same for a ticket that waits."""
LONG_RUN_SCAN_INTERVAL = 1.0
"""Seconds between two scans for long runs."""
CANCELLATION_POLL_INTERVAL = 3.0
"""Seconds between two reads of the store while there are long runs."""


class CancellableExecution(Protocol):
    """A run that can be cancelled (jobs.running.runner.RunExecution)."""

    async def run_to_end(self) -> Run: ...

    def build_cancelled_run(self, cancelled_by: str = "") -> Run: ...


class RunRegistry:
    def __init__(self, cancellations: Cancellations, clock: Clock) -> None:
        self._cancellations = cancellations
        self._clock = clock
        self._registered: set[str] = set()
        self._tasks: dict[str, asyncio.Task[object]] = {}
        self._started: set[str] = set()
        self._cancelled_by: dict[str, str] = {}
        self._poll_from: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._long_runs: set[str] = set()
        self._stored_requests: set[str] = set()
        self._poller: asyncio.Task[None] | None = None
        self._ends: WeakValueDictionary[str, asyncio.Future[None]] = WeakValueDictionary()
        """What callers wait for, by run id, as long as they wait."""

    def register(self, run_id: str) -> None:
        """Register a claimed run that starts later, until `pop_cancellation` or `unregister`."""
        self._registered.add(run_id)

    def pop_cancellation(self, run_id: str) -> str:
        """Return who cancelled the run before it starts; "" if it was not cancelled."""
        self._registered.discard(run_id)
        return self._cancelled_by.pop(run_id, "") if self._cancelled_by else ""

    def unregister(self, run_id: str) -> None:
        """Remove a run that does not start here."""
        self._registered.discard(run_id)
        if run_id not in self._tasks:
            self._cancelled_by.pop(run_id, None)

    async def run_until_done(self, ticket: Ticket, execution: CancellableExecution) -> Run:
        """Return the finished run: completed, cancelled on request, or cancelled because the program stops.

        A cancelled task continues just long enough to record the run.
        """
        task = self._track(ticket.id, LONG_RUN_AFTER)
        self._started.add(ticket.id)
        try:
            return await execution.run_to_end()
        except asyncio.CancelledError:
            return execution.build_cancelled_run(self._cancelled_by.get(ticket.id, ""))
        finally:
            self._started.discard(ticket.id)
            self.untrack(ticket.id, task)

    @property
    def in_progress(self) -> list[str]:
        """The ids of the runs that are in-flight here, sorted."""
        return sorted(self._started)

    async def wait_for(self, run_id: str, awaitable: Awaitable[object]) -> str:
        """Wait until the awaitable is done or the run is cancelled. Returns who cancelled it; "" if it was not.

        Raises:
            asyncio.CancelledError: the program stops.
        """
        task = self.track_wait(run_id)
        try:
            await awaitable
        except asyncio.CancelledError:
            if run_id not in self._cancelled_by:
                raise
            return self._cancelled_by[run_id]
        finally:
            self.untrack(run_id, task)
        return ""

    def cancel(self, run_id: str, cancelled_by: str) -> bool:
        """Cancel a run; False if it neither waits nor is in-flight here. `cancelled_by`: who requested it."""
        task = self._tasks.get(run_id)
        if task is None and run_id not in self._registered:
            return False
        if run_id not in self._cancelled_by:
            self._cancelled_by[run_id] = cancelled_by
            if task is not None:
                task.cancel()
        return True

    def end_of(self, run_id: str) -> asyncio.Future[None]:
        """Return what is done once `mark_ended` is called for the run; all callers share it."""
        return self._ends.setdefault(run_id, asyncio.get_running_loop().create_future())

    def mark_ended(self, run_id: str) -> None:
        """Wake the callers that wait for the run: it is recorded, or this process does not execute it any more."""
        if self._ends and (end := self._ends.pop(run_id, None)) is not None and not end.done():
            end.set_result(None)

    async def clear_cancellation(self, run_id: str) -> None:
        """Delete the run's cancellation request from the store, now that its end is recorded."""
        if run_id not in self._stored_requests:
            return
        self._stored_requests.discard(run_id)
        try:
            await self._cancellations.remove(run_id)
        except StoreError as error:
            _log.warning("could not delete the cancellation request of run %s: %s; it expires later", run_id, error)

    def track_wait(self, run_id: str) -> asyncio.Task[object]:
        """Let `cancel` cancel the current task, which waits for the run to start, until `untrack`. Return the task."""
        return self._track(run_id, LONG_WAIT_AFTER)

    def read_cancellation(self, run_id: str) -> str:
        """Return who cancelled the run, which waits or runs; "" if it was not cancelled."""
        return self._cancelled_by.get(run_id, "")

    def _track(self, run_id: str, watched_after: float) -> asyncio.Task[object]:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._tasks[run_id] = task
        self._poll_from[run_id] = loop.time() + watched_after
        if self._timer is None:
            # One timer for all runs: most finish long before they are long.
            self._timer = loop.call_later(LONG_RUN_SCAN_INTERVAL, self._find_long_runs)
        return task

    def untrack(self, run_id: str, task: asyncio.Task[object]) -> None:
        """Forget the run, which neither waits nor runs any more; its task continues after a cancellation."""
        if self._cancelled_by and self._cancelled_by.pop(run_id, None) is not None:
            # The next steps of this task, such as recording, are not cancelled.
            task.uncancel()
        del self._tasks[run_id], self._poll_from[run_id]
        if self._long_runs:
            self._long_runs.discard(run_id)
        if self._poller is not None and not self._long_runs:
            self._poller.cancel()
            self._poller = None

    def _find_long_runs(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LONG_RUN_SCAN_INTERVAL, self._find_long_runs) if self._tasks else None
        now = loop.time()
        self._long_runs |= {run_id for run_id, instant in self._poll_from.items() if instant <= now}
        if self._long_runs and self._poller is None:
            self._poller = loop.create_task(self._poll_cancellations())

    async def _poll_cancellations(self) -> None:
        while True:
            try:
                requested = await self._cancellations.list_requested(self._clock.now())
            except StoreError as error:
                _log.warning("could not read cancellation requests: %s; retrying", error)
            else:
                for run_id in requested.keys() & self._long_runs:
                    self._stored_requests.add(run_id)
                    self.cancel(run_id, requested[run_id])
            await self._clock.sleep(CANCELLATION_POLL_INTERVAL)
