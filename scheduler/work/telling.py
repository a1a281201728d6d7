"""What comes after a run is recorded: telemetry is told, what follows is started, and the run is settled.

Used by performing, queue_work and recovery. May be repeated after a crash: a run is settled last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from jobs.events import RunFinished, RunListener
from jobs.runs import Run
from scheduler.dispatch.port import DispatchError
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.port import StoreError
from scheduler.stores.runs import Runs
from scheduler.work.following import FollowUp

_log = logging.getLogger("scheduler.worker")

SETTLED_AFTER = 0.5
"""Seconds for which runs of which only telemetry was to be told wait to be settled together."""
FOLLOWED_UP_AT_ONCE = 16
"""Runs of a batch that are followed up side by side: each takes several requests of the store, one after the other."""


class NotFollowedUp(StoreError):
    """The run is recorded and told of, but what follows from it could not be started."""


class Telling:
    """`settles`: every run is finished unsettled, so that one that nobody was told of is found after a crash
    (Runs.untold). Without it those only from which something follows: where each request costs, the queue's message
    that comes again tells of the others."""

    def __init__(self, listener: RunListener, follow_up: FollowUp, runs: Runs, *, settles: bool) -> None:
        self._listener = listener
        self._follow_up = follow_up
        self._runs = runs
        self._settles = settles
        self._told: list[Run] = []
        self._ahead: set[str] = set()
        """Runs that telemetry was told of before they were recorded."""
        self._tasks: set[asyncio.Task[None]] = set()

    def finishes_settled(self, job: str) -> bool:
        """Whether a run of this job is to be finished settled."""
        return not (self._settles or self.follows(job))

    def follows(self, job: str) -> bool:
        """Whether other runs follow from one of this job."""
        return self._follow_up.follows(job)

    async def tell(self, run: Run, letter: DeadLetter | None = None) -> None:
        """The run is recorded, now or by somebody who may have died before this. `letter`: what was kept of it.

        Raises:
            NotFollowedUp: the run stays unsettled.
        """
        self.tell_telemetry(run, letter)
        if self.follows(run.job):
            try:
                await self._follow_up.after(run)
                await self._runs.settle(run)
            except (StoreError, DispatchError) as error:
                raise NotFollowedUp(f"what follows from run {run.id} is not started: {error}") from error
        elif self._settles:
            if not self._told:
                asyncio.get_running_loop().call_later(SETTLED_AFTER, self._settle_told)
            self._told.append(run)

    async def tell_all(self, runs: Sequence[tuple[Run, DeadLetter | None]]) -> Sequence[NotFollowedUp]:
        """`tell` for each run with its letter. Returns what went wrong: those runs stay unsettled."""
        places, errors = asyncio.Semaphore(FOLLOWED_UP_AT_ONCE), []

        async def tell(run: Run, letter: DeadLetter | None) -> None:
            async with places:
                try:
                    await self.tell(run, letter)
                except NotFollowedUp as error:
                    errors.append(error)

        following = []
        for run, letter in runs:
            if self.follows(run.job):
                following.append(tell(run, letter))
            else:
                await self.tell(run, letter)
        await asyncio.gather(*following)
        return errors

    def tell_ahead(self, run: Run) -> None:
        """Telemetry is told now, as the run is recorded only once the store is back; `tell` does the rest then."""
        self._listener.run_finished(RunFinished(run))
        self._ahead.add(run.id)

    def tell_telemetry(self, run: Run, letter: DeadLetter | None = None) -> None:
        """Nothing else: for a run that is not recorded, so that nothing may follow from it."""
        if run.id in self._ahead:
            self._ahead.discard(run.id)
        else:
            self._listener.run_finished(RunFinished(run))
        if letter is not None and letter.ticket is not None:
            self._listener.dead_lettered(letter.ticket, letter.reason)

    async def aclose(self, patience: float | None = None) -> None:
        """Settle what is told, for `patience` seconds at most: the next start tells again of what is not."""
        self._settle_told()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)

    def _settle_told(self) -> None:
        told, self._told = self._told, []
        if told:
            task = asyncio.get_running_loop().create_task(self._settle(told))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _settle(self, told: list[Run]) -> None:
        try:
            await self._runs.settle(*told)
        except StoreError as error:
            _log.warning("%d runs stay unsettled, and may be told of again after the next start: %s", len(told), error)
