"""Assigns a place of the process to a run, or returns why it has none.

A waiting run blocks no other run. Its wait is limited: a job has at most MAX_WAITING_RUNS_PER_JOB waiting runs, and in
the Functions host, where messages deliver tickets, a run waits for `max_wait`. The end of the program interrupts the
sleeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from jobs.definition import JobDefinition
from jobs.formats import format_duration
from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from jobs.runs.waits import WaitReason
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates import Skip, Wait
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.places import OTHERS_START_FIRST, FifoSemaphore, HeldPlace
from scheduler.worker.waits import CATCH_UP_LATENESS, WaitTimeline

_TIMER_TOLERANCE = timedelta(milliseconds=5)
"""Timers fire early by a little, and the two clocks differ by a little."""
_MIN_SLEEP = 0.001
"""Seconds: timers of the event loop count milliseconds, so a shorter sleep would spin."""


class InterruptibleSleep:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: set[asyncio.Task[Any]] = set()
        self.is_interrupted = False
        """Whether the program ends."""

    async def sleep_until(self, instant: datetime) -> None:
        """Return at the instant, not before it, even if the wall clock is set meanwhile.

        Raises:
            asyncio.CancelledError: the program ends.
        """
        seconds = (instant - self._clock.now()).total_seconds()
        if seconds > 0:
            await self.wait_for(self._sleep(seconds, instant))

    def raise_if_interrupted(self) -> None:
        """Raise asyncio.CancelledError if the program ends: no run starts from then on."""
        if self.is_interrupted:
            raise asyncio.CancelledError

    async def wait_for(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Wait for the coroutine. Raises asyncio.CancelledError if the program ends."""
        if self.is_interrupted:
            coroutine.close()
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None
        self.add(task)
        try:
            await coroutine
        finally:
            self.remove(task)

    def add(self, task: asyncio.Task[Any]) -> None:
        """Cancel the task if the program ends, until `remove`."""
        self._tasks.add(task)

    def remove(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)

    async def _sleep(self, seconds: float, instant: datetime) -> None:
        end = self._clock.monotonic() + seconds
        while seconds > 0:
            await self._clock.sleep(max(seconds, _MIN_SLEEP))
            seconds = end - self._clock.monotonic()
        while timedelta() < (left := instant - self._clock.now()) < _TIMER_TOLERANCE:
            await self._clock.sleep(max(left.total_seconds(), _MIN_SLEEP))

    def interrupt(self) -> None:
        """Cancel every waiting task, and those that would wait from now on."""
        self.is_interrupted = True
        for task in tuple(self._tasks):
            task.cancel()


MAX_WAITING_RUNS_PER_JOB = 50
"""Scheduled runs of one job. Runs with `overlap: buffer_all` and caught-up runs wait beyond this limit."""


class PlaceAssigner:
    """`max_wait`: how long a ticket waits here; None: until it has a place."""

    def __init__(
        self,
        semaphore: FifoSemaphore,
        registry: RunRegistry,
        waiting: InterruptibleSleep,
        clock: Clock,
        max_wait: timedelta | None,
        on_waited: Callable[[ReasonCode, float], None] = lambda code, seconds: None,
    ) -> None:
        """`on_waited`: called with the seconds for which a ticket has waited here."""
        self._semaphore = semaphore
        self._registry = registry
        self._waiting = waiting
        self._clock = clock
        self._max_wait = max_wait
        self._on_waited = on_waited

    async def wait_for_place(
        self, ticket: Ticket, entry: CatalogJob, waits: WaitTimeline, *, is_first: bool
    ) -> HeldPlace | Skip | Wait:
        """Return the run's place if none is free now; the caller releases it.

        Skip: record the run as skipped. Wait: deliver it again.

        `is_first`: the ticket is new here, and may be skipped instead of waiting.
        """
        job, host = entry.job, entry.host
        may_skip = self._can_skip(ticket, job)
        if (
            is_first
            and may_skip
            and job.overlap != "buffer_all"
            and self._semaphore.waiting_count(job.name) >= MAX_WAITING_RUNS_PER_JOB
        ):
            why = self._semaphore.denial_reason(job.name, host)
            crowded = f"{MAX_WAITING_RUNS_PER_JOB} runs of its job wait for a place already: {why}"
            return Skip(Reason(ReasonCode.NO_CAPACITY, crowded))
        began = self._clock.monotonic()
        is_full = self._semaphore.is_full
        blocked_by = "all places were in use" if is_full else self._semaphore.denial_reason(job.name, host)
        place, cancelled_by = await self._wait_for_place(ticket.id, job.name, host)
        if blocked_by == OTHERS_START_FIRST:
            waits.end_wait(WaitReason.STARVED_CPU)
        else:
            self._on_waited(ReasonCode.NO_CAPACITY, self._clock.monotonic() - began)
            waits.end_wait(WaitReason.PLACE, blocked_by)
        if place is not None:
            return place
        if cancelled_by:
            return Skip(Reason(ReasonCode.CANCELLED, cancelled_by), cancelled_by)
        assert self._max_wait is not None, "without a limit it waits until it has a place"
        why = self._semaphore.denial_reason(job.name, host)
        waited = f"no place was free within {format_duration(self._max_wait.total_seconds())}: {why}"
        reason = Reason(ReasonCode.NO_CAPACITY, waited)
        return Skip(reason) if may_skip and not self._semaphore.is_full else Wait(self._clock.now(), reason)

    def _can_skip(self, ticket: Ticket, job: JobDefinition) -> bool:
        """Return whether the run may be skipped: it is scheduled, and not a caught-up run."""
        if ticket.trigger is not Trigger.SCHEDULE:
            return False
        return job.catch_up.policy != "all" or self._clock.now() - ticket.due_at < CATCH_UP_LATENESS

    async def _wait_for_place(self, run_id: str, job: str, host: str) -> tuple[HeldPlace | None, str]:
        """Return the place, or who cancelled the run; neither if `max_wait` passed."""
        # perf: `run-cost`, 5 % of a run in a burst: no coroutine more than the wait itself
        self._waiting.raise_if_interrupted()
        place, cancelled_by = None, ""
        task = self._registry.track_wait(run_id)
        self._waiting.add(task)
        try:
            if self._max_wait is None:
                place = await self._semaphore.wait(job, host)
            else:
                place = await self._acquire_within(job, host, self._max_wait.total_seconds())
        except asyncio.CancelledError:
            cancelled_by = self._registry.read_cancellation(run_id)
            if not cancelled_by:
                raise
        finally:
            self._waiting.remove(task)
            self._registry.untrack(run_id, task)
        return place, cancelled_by

    async def _acquire_within(self, job: str, host: str, seconds: float) -> HeldPlace | None:
        try:
            async with asyncio.timeout(seconds):
                return await self._semaphore.wait(job, host)
        except TimeoutError:
            return None
