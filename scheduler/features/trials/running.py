"""Runs jobs once: those that others depend on first, within the limits of concurrency."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jobs.ports import Clock
from jobs.runs import Ticket
from jobs.targets import HeartbeatTarget

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from jobs.running.runner import Runner
    from jobs.runs import Run

START_SPACING = 0.01
"""Seconds between two starts. A start occupies the event loop for milliseconds, which would count as response time of
those that started with it."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """How the run of a job ended. `run` None: it was skipped for the reason `skipped`."""

    job: JobDefinition
    run: Run | None
    skipped: str = ""

    @property
    def has_succeeded(self) -> bool:
        return self.run is not None and self.run.outcome == "succeeded"


class TrialRunner:
    """`concurrency`: runs at a time. `timeout`: seconds of a run at most, whatever its job allows."""

    def __init__(self, runner: Runner, clock: Clock, *, concurrency: int, timeout: float) -> None:
        self._runner = runner
        self._clock = clock
        self._timeout = timeout
        self._slots = asyncio.Semaphore(concurrency)
        self._starts = asyncio.Lock()
        self._groups: dict[str, asyncio.Semaphore] = {}

    async def run_all(
        self, jobs: Sequence[JobDefinition], on_finished: Callable[[TrialResult], None] = lambda result: None
    ) -> Sequence[TrialResult]:
        """Run each job to its end and return the results in this order. Jobs of files have no circular dependencies."""
        self._runner.prepare(job for job in jobs if job.enabled)
        tasks: dict[str, asyncio.Task[TrialResult]] = {}
        started = asyncio.Event()

        async def run(job: JobDefinition) -> TrialResult:
            await started.wait()
            needed = {each.job: await asyncio.shield(tasks[each.job]) for each in job.depends_on if each.job in tasks}
            result = await self._run(job, needed)
            on_finished(result)
            return result

        try:
            async with asyncio.TaskGroup() as group:
                for job in jobs:
                    tasks[job.name] = group.create_task(run(job))
                started.set()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks.values()]

    async def _run(self, job: JobDefinition, needed: Mapping[str, TrialResult]) -> TrialResult:
        if reason := find_skip_reason(job, needed, self._clock.now()):
            return TrialResult(job, None, reason)
        async with AsyncExitStack() as slots:
            # The group first: a run that waits for it must not occupy a slot.
            if job.concurrency_group is not None:
                group = job.concurrency_group
                await slots.enter_async_context(self._groups.setdefault(group.name, asyncio.Semaphore(group.limit)))
            await slots.enter_async_context(self._slots)
            async with self._starts:
                await self._clock.sleep(START_SPACING)
            timeout = job.timeout.model_copy(update={"run": min(job.timeout.run, self._timeout)})
            alone = job.model_copy(update={"circuit": None, "timeout": timeout})
            ticket = Ticket.requested(job.name, self._clock.now(), job.generation())
            return TrialResult(job, await self._runner.run(alone, ticket))


def find_skip_reason(job: JobDefinition, needed: Mapping[str, TrialResult], now: datetime) -> str:
    """Return why a job is not run; empty if it is. `needed`: the results of jobs that it depends on, by name."""
    if not job.enabled:
        return "the job is disabled"
    if isinstance(job.check, HeartbeatTarget):
        return "a heartbeat contacts no target: it waits for pings"
    for dependency in job.depends_on:
        result = needed.get(dependency.job)
        if result is None:  # it is not part of the test
            continue
        if result.run is None:
            return f"dependency {dependency.job} was skipped: {result.skipped}"
        if (reason := dependency.explain_unmet(result.run, now, ignore_age=True)) is not None:
            return reason
    return ""
