"""What comes after a run is recorded: telemetry is told, what follows is started, and the run is settled.

Used by performing, queue_work and recovery. May be repeated after a crash: a run is settled last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from jobs.events import RunFinished, RunListener
from jobs.runs import Run
from scheduler.dependencies.port import FollowUp
from scheduler.dispatch.port import DispatchError
from scheduler.stores.dead_letters.repository import DeadLetter
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Runs

_log = logging.getLogger("scheduler.worker")

ACKNOWLEDGE_DELAY = 0.5
"""Seconds for which runs of which only telemetry was to be told wait to be settled together."""
MAX_CONCURRENT_FOLLOW_UPS = 16
"""Runs of a batch that are followed up side by side: each takes several requests of the store, one after the other."""


class NotFollowedUp(StoreError):
    """The run is recorded and told of, but what follows from it could not be started."""


class RunPublisher:
    """`settles`: every run is finished unsettled, so that one that nobody was told of is found after a crash
    (Runs.untold). Without it those only from which something follows: where each request costs, the queue's message
    that comes again tells of the others."""

    def __init__(self, listener: RunListener, follow_up: FollowUp, runs: Runs, *, acknowledges: bool) -> None:
        self._listener = listener
        self._follow_up = follow_up
        self._runs = runs
        self._acknowledges = acknowledges
        self._published: list[Run] = []
        self._published_early: set[str] = set()
        """Runs that telemetry was told of before they were recorded."""
        self._tasks: set[asyncio.Task[None]] = set()

    def is_acknowledged_on_finish(self, job: str) -> bool:
        """Whether a run of this job is to be finished settled."""
        return not (self._acknowledges or self.has_dependents(job))

    def has_dependents(self, job: str) -> bool:
        """Whether other runs follow from one of this job."""
        return self._follow_up.has_dependents(job)

    async def publish(self, run: Run, letter: DeadLetter | None = None) -> None:
        """The run is recorded, now or by somebody who may have died before this. `letter`: what was kept of it.

        Raises:
            NotFollowedUp: the run stays unsettled.
        """
        self.publish_telemetry(run, letter)
        if self.has_dependents(run.job):
            try:
                await self._follow_up.start_dependents(run)
                await self._runs.acknowledge(run)
            except (StoreError, DispatchError) as error:
                raise NotFollowedUp(f"what follows from run {run.id} is not started: {error}") from error
        elif self._acknowledges:
            if not self._published:
                asyncio.get_running_loop().call_later(ACKNOWLEDGE_DELAY, self._start_acknowledging)
            self._published.append(run)

    async def publish_all(self, runs: Sequence[tuple[Run, DeadLetter | None]]) -> Sequence[NotFollowedUp]:
        """`tell` for each run with its letter. Returns what went wrong: those runs stay unsettled."""
        places, errors = asyncio.Semaphore(MAX_CONCURRENT_FOLLOW_UPS), []

        async def tell(run: Run, letter: DeadLetter | None) -> None:
            async with places:
                try:
                    await self.publish(run, letter)
                except NotFollowedUp as error:
                    errors.append(error)

        following = []
        for run, letter in runs:
            if self.has_dependents(run.job):
                following.append(tell(run, letter))
            else:
                await self.publish(run, letter)
        await asyncio.gather(*following)
        return errors

    def publish_telemetry_early(self, run: Run) -> None:
        """Telemetry is told now, as the run is recorded only once the store is back; `tell` does the rest then."""
        self._listener.run_finished(RunFinished(run))
        self._published_early.add(run.id)

    def publish_telemetry(self, run: Run, letter: DeadLetter | None = None) -> None:
        """Nothing else: for a run that is not recorded, so that nothing may follow from it."""
        if run.id in self._published_early:
            self._published_early.discard(run.id)
        else:
            self._listener.run_finished(RunFinished(run))
        if letter is not None and letter.ticket is not None:
            self._listener.dead_lettered(letter.ticket, letter.reason)

    async def aclose(self, time_limit: float | None = None) -> None:
        """Settle what is told, for `patience` seconds at most: the next start tells again of what is not."""
        self._start_acknowledging()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=time_limit)

    def _start_acknowledging(self) -> None:
        told, self._published = self._published, []
        if told:
            task = asyncio.get_running_loop().create_task(self._acknowledge(told))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _acknowledge(self, told: list[Run]) -> None:
        try:
            await self._runs.acknowledge(*told)
        except StoreError as error:
            _log.warning("%d runs stay unsettled, and may be told of again after the next start: %s", len(told), error)
