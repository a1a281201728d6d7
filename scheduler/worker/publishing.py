"""Publishes recorded runs: sends telemetry, records the job's state, judges the alert rules, starts dependents, then
acknowledges the run.

Called by scheduler.hosts.functions.queue; built by scheduler.worker.worker_dependencies. A crash may repeat these
steps, because a run is acknowledged last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from jobs.runs import Run
from jobs.runs.events import RunFinished, RunListener
from scheduler.changes.tracking import HealthTracker, StateTracker
from scheduler.dependencies import FollowUp
from scheduler.dispatch.port import DispatchError
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Runs

_log = logging.getLogger("scheduler.worker")

MAX_CONCURRENT_FOLLOW_UPS = 16
"""Runs of a batch that are followed up concurrently: each takes several requests of the store in sequence."""


class NotFollowedUp(StoreError):
    """The run is recorded and published, but the state of its job was not, or its dependents were not started."""


class RunJudge(Protocol):
    """Judges finished runs by the alert rules."""

    def is_affected(self, run: Run) -> bool:
        """Take notice of a run. Return whether `judge` must be called."""
        ...

    async def judge(self, run: Run) -> None:
        """Raises StoreError: a repetition is needed."""
        ...


class RunPublisher:
    """`acknowledges`: every run is finished unacknowledged, so that unpublished runs are found after a crash.

    Otherwise only runs with dependents are: where each request costs, the redelivered message publishes the others.
    """

    def __init__(
        self,
        listener: RunListener,
        follow_up: FollowUp,
        runs: Runs,
        states: StateTracker | None = None,
        alerts: RunJudge | None = None,
        health: HealthTracker | None = None,
        *,
        acknowledges: bool,
    ) -> None:
        self._listener = listener
        self._follow_up = follow_up
        self._runs = runs
        self._states = states
        self._alerts = alerts
        self._health = health
        self._acknowledges = acknowledges
        self.acknowledge_delay = 0.5
        """Seconds for which runs without dependents wait to be acknowledged together."""
        self._published: list[Run] = []
        self._published_early: set[str] = set()
        """Ids of runs whose telemetry was published before they were recorded."""
        self._tasks: set[asyncio.Task[None]] = set()

    def is_acknowledged_on_finish(self, job: str) -> bool:
        """Return whether a run of this job is finished acknowledged."""
        return not (self._acknowledges or self.has_dependents(job))

    def has_dependents(self, job: str) -> bool:
        """Return whether other jobs depend on this job."""
        return self._follow_up.has_dependents(job)

    async def publish(self, run: Run, letter: DeadLetter | None = None) -> None:
        """Publish a recorded run, record the job's state, judge it by the alert rules, start its dependents and
        acknowledge it.

        `letter`: its dead letter.

        The process that recorded the run may have died before it published it.

        Raises:
            NotFollowedUp: the run stays unacknowledged.
        """
        self.publish_telemetry(run, letter)
        await self._record_state(run)
        if self._alerts is not None and self._alerts.is_affected(run):
            await self._judge(self._alerts, run)
        if self.has_dependents(run.job):
            try:
                await self._follow_up.start_dependents(run)
                await self._runs.acknowledge(run)
            except (StoreError, DispatchError) as error:
                raise NotFollowedUp(f"could not start the dependents of run {run.id}: {error}") from error
        elif self._acknowledges:
            if not self._published:
                asyncio.get_running_loop().call_later(self.acknowledge_delay, self._start_acknowledging)
            self._published.append(run)

    async def _record_state(self, run: Run) -> None:
        try:
            if self._states is not None and not self._states.is_unchanged_by(run):
                await self._states.record_run(run)
            if self._health is not None and not self._health.is_unchanged_by(run):
                await self._health.record_run(run)
        except StoreError as error:
            raise NotFollowedUp(f"could not record the state of the job of run {run.id}: {error}") from error

    async def _judge(self, alerts: RunJudge, run: Run) -> None:
        try:
            await alerts.judge(run)
        except StoreError as error:
            raise NotFollowedUp(f"could not judge run {run.id} by the alert rules: {error}") from error

    async def publish_all(self, runs: Sequence[tuple[Run, DeadLetter | None]]) -> Sequence[NotFollowedUp]:
        """Publish each run with its dead letter. Returns the errors: those runs stay unacknowledged."""
        semaphore, errors = asyncio.Semaphore(MAX_CONCURRENT_FOLLOW_UPS), []

        async def publish_one(run: Run, letter: DeadLetter | None) -> None:
            async with semaphore:
                try:
                    await self.publish(run, letter)
                except NotFollowedUp as error:
                    errors.append(error)

        following = []
        for run, letter in _order_by_job(runs):
            if self.has_dependents(run.job):
                following.append(publish_one(run, letter))
            else:
                await publish_one(run, letter)
        await asyncio.gather(*following)
        return errors

    def publish_telemetry_early(self, run: Run) -> None:
        """Send the telemetry of a run that is recorded only once the store is back; `publish` completes it then."""
        self._listener.run_finished(RunFinished(run))
        self._published_early.add(run.id)

    def publish_telemetry(self, run: Run, letter: DeadLetter | None = None) -> None:
        """Send the telemetry alone: a run that is not recorded must not start dependents."""
        if run.id in self._published_early:
            self._published_early.discard(run.id)
        else:
            self._listener.run_finished(RunFinished(run))
        if letter is not None and letter.ticket is not None:
            self._listener.dead_lettered(letter.ticket, letter.reason)

    async def aclose(self, time_limit: float | None = None) -> None:
        """Acknowledge published runs for at most `timeout` seconds; the next start publishes the others again."""
        self._start_acknowledging()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=time_limit)

    def _start_acknowledging(self) -> None:
        published, self._published = self._published, []
        if published:
            task = asyncio.get_running_loop().create_task(self._acknowledge(published))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _acknowledge(self, published: list[Run]) -> None:
        try:
            await self._runs.acknowledge(*published)
        except StoreError as error:
            _log.warning("could not acknowledge %d runs: %s; a restart may publish them again", len(published), error)


def _order_by_job(runs: Sequence[tuple[Run, DeadLetter | None]]) -> Sequence[tuple[Run, DeadLetter | None]]:
    """Return the jobs in the given order, each with its runs by due instant, as their states follow each other."""
    jobs: dict[str, list[tuple[Run, DeadLetter | None]]] = {}
    for each in runs:
        jobs.setdefault(each[0].job, []).append(each)
    return [each for together in jobs.values() for each in sorted(together, key=lambda one: one[0].due_at)]
