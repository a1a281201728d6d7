"""The runs that go on or wait in this process, and how one is ended because somebody wants it.

Kept by performing. What other processes ask for is in the store; it is looked at only while a run lasts longer than a
few seconds, once for all of them, so that short runs cost nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Protocol

from jobs.ports import Clock
from jobs.runs import Run, Ticket
from scheduler.stores.cancellations import Cancellations
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.worker")

WATCHED_AFTER = 3.0
"""Seconds after which a run is long: from then on the store is asked whether it is to be ended."""
LOOKED_FOR_AFTER = 1.0
"""The same for one that waits for something."""
LONG_FOUND_EVERY = 1.0
"""Seconds between two looks for runs that are long by now."""
LOOKED_EVERY = 3.0
"""Seconds between two looks while there are long runs."""


class Endable(Protocol):
    """A run that can be ended (jobs.running.execution.Execution)."""

    async def finish(self) -> Run: ...

    def cancelled(self, asked: str = "") -> Run: ...


class Going:
    def __init__(self, cancellations: Cancellations, clock: Clock) -> None:
        self._cancellations = cancellations
        self._clock = clock
        self._expected: set[str] = set()
        self._tasks: dict[str, asyncio.Task[object]] = {}
        self._begun: set[str] = set()
        self._asked: dict[str, str] = {}
        self._watched_from: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._long: set[str] = set()
        self._from_store: set[str] = set()
        self._watcher: asyncio.Task[None] | None = None

    def expect(self, run_id: str) -> None:
        """The run is claimed here and begins later; `begins` or `forget` ends that."""
        self._expected.add(run_id)

    def begins(self, run_id: str) -> str:
        """It would begin now. Returns how somebody asked for it to be ended meanwhile; "" if nobody did."""
        self._expected.discard(run_id)
        return self._asked.pop(run_id, "") if self._asked else ""

    def forget(self, run_id: str) -> None:
        """It does not begin here after all."""
        self._expected.discard(run_id)
        if run_id not in self._tasks:
            self._asked.pop(run_id, None)

    async def to_its_end(self, ticket: Ticket, execution: Endable) -> Run:
        """The run, as it ends by itself, because somebody asked for it, or because the program stops.

        The task that is ended goes on just long enough to record that.
        """
        task = self._enter(ticket.id, WATCHED_AFTER)
        self._begun.add(ticket.id)
        try:
            return await execution.finish()
        except asyncio.CancelledError:
            return execution.cancelled(self._asked.get(ticket.id, ""))
        finally:
            self._begun.discard(ticket.id)
            self._exit(ticket.id, task)

    @property
    def in_progress(self) -> list[str]:
        """The ids of the runs that have begun here and are not over, sorted."""
        return sorted(self._begun)

    async def wait(self, run_id: str, until: Awaitable[object]) -> str:
        """Until that is over, or somebody wants the run ended. Returns how that was asked for; "" if nobody did.

        Raises asyncio.CancelledError when the program stops.
        """
        task = self._enter(run_id, LOOKED_FOR_AFTER)
        try:
            await until
        except asyncio.CancelledError:
            if run_id not in self._asked:
                raise
            return self._asked[run_id]
        finally:
            self._exit(run_id, task)
        return ""

    def cancel(self, run_id: str, asked: str) -> bool:
        """End a run; False if it neither goes on nor waits here. `asked`: how it was asked for."""
        task = self._tasks.get(run_id)
        if task is None and run_id not in self._expected:
            return False
        if run_id not in self._asked:
            self._asked[run_id] = asked
            if task is not None:
                task.cancel()
        return True

    async def recorded(self, run_id: str) -> None:
        """The run's end is stored: nobody has to be told of its cancellation any more."""
        if run_id not in self._from_store:
            return
        self._from_store.discard(run_id)
        try:
            await self._cancellations.remove(run_id)
        except StoreError as error:
            _log.warning("the note to cancel run %s stays for a while: %s", run_id, error)

    def _enter(self, run_id: str, watched_after: float) -> asyncio.Task[object]:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[run_id] = task
        loop = asyncio.get_running_loop()
        self._watched_from[run_id] = loop.time() + watched_after
        if self._timer is None:
            # One timer for all of them: most are over long before they are long.
            self._timer = loop.call_later(LONG_FOUND_EVERY, self._find_long)
        return task

    def _exit(self, run_id: str, task: asyncio.Task[object]) -> None:
        if self._asked.pop(run_id, None) is not None:
            # What comes next in this task, such as recording, is not cancelled.
            task.uncancel()
        del self._tasks[run_id], self._watched_from[run_id]
        self._long.discard(run_id)
        if not self._long and self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    def _find_long(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LONG_FOUND_EVERY, self._find_long) if self._tasks else None
        now = loop.time()
        self._long |= {run_id for run_id, instant in self._watched_from.items() if instant <= now}
        if self._long and self._watcher is None:
            self._watcher = loop.create_task(self._look())

    async def _look(self) -> None:
        while True:
            try:
                asked = await self._cancellations.asked(self._clock.now())
            except StoreError as error:
                _log.warning("whether runs are to be cancelled cannot be seen now: %s", error)
            else:
                for run_id in asked.keys() & self._long:
                    self._from_store.add(run_id)
                    self.cancel(run_id, asked[run_id])
            await self._clock.sleep(LOOKED_EVERY)
