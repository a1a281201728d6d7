"""Gets a run its place among those of its process, or says why it has none. Used by performing.

A run waits for a place without blocking others. It does not wait for ever: a job has at most MOST_WAITING runs that
wait, and where tickets are delivered in messages (the Functions host), a run waits for as long as `hold` says.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from jobs.definition import JobDefinition
from jobs.formats.durations import format_duration
from jobs.ports import Clock
from jobs.reasons import Reason, ReasonCode
from jobs.running.endpoint_hosts import host_of_endpoint
from jobs.runs import Ticket, Trigger
from scheduler.gates import Skip, Wait
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.concurrency.fifo_semaphore import FifoSemaphore, HeldPlace
from scheduler.worker.interruptible_sleep import InterruptibleSleep

MAX_WAITING_RUNS_PER_JOB = 50
"""Scheduled runs of one job. Each of them waits where the job says so by `overlap: buffer_all`, or catches it up."""
CATCH_UP_LATENESS = timedelta(seconds=10)
"""A run of a job with `catch_up: all` that comes so late is one that it catches up."""


class PlaceAssigner:
    """`hold`: seconds for which a ticket waits here; None: until it has a place."""

    def __init__(
        self,
        semaphore: FifoSemaphore,
        registry: RunRegistry,
        waiting: InterruptibleSleep,
        clock: Clock,
        max_wait: timedelta | None,
    ) -> None:
        self._semaphore = semaphore
        self._registry = registry
        self._waiting = waiting
        self._clock = clock
        self._max_wait = max_wait

    async def acquire_place(self, ticket: Ticket, job: JobDefinition, *, is_first: bool) -> HeldPlace | Skip | Wait:
        """Return the run's place, to be given back by `Places.release`.

        `is_first`: it is new here, and may be left out (Skip) instead of waiting. Wait: deliver the ticket again.
        """
        host = host_of_endpoint(job.check.endpoint)
        if (place := self._semaphore.try_acquire(job.name, host)) is not None:
            return place
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
        taking = _PlaceRequest(self._semaphore, job.name, host, self._max_wait)
        if asked := await self._registry.wait_for(ticket.id, self._waiting.wait_for(taking.acquire())):
            taking.release()
            return Skip(Reason(ReasonCode.CANCELLED, asked), asked)
        if taking.place is not None:
            return taking.place
        assert self._max_wait is not None, "it waits for as long as it takes otherwise"
        why = self._semaphore.denial_reason(job.name, host)
        waited = f"no place was free within {format_duration(self._max_wait.total_seconds())}: {why}"
        reason = Reason(ReasonCode.NO_CAPACITY, waited)
        return Skip(reason) if may_skip and not self._semaphore.is_full else Wait(self._clock.now(), reason)

    def _can_skip(self, ticket: Ticket, job: JobDefinition) -> bool:
        """Whether nobody waits for this very run: it is not asked for, follows from no other one and is on time."""
        if ticket.trigger is not Trigger.SCHEDULE:
            return False
        return job.catch_up.policy != "all" or self._clock.now() - ticket.due_at < CATCH_UP_LATENESS


class _PlaceRequest:
    """One wait for a place, which may end without one."""

    def __init__(self, places: FifoSemaphore, job: str, host: str, hold: timedelta | None) -> None:
        self._places = places
        self._job = job
        self._host = host
        self._hold = hold
        self.place: HeldPlace | None = None

    async def acquire(self) -> None:
        try:
            async with asyncio.timeout(None if self._hold is None else self._hold.total_seconds()):
                self.place = await self._places.acquire(self._job, self._host)
        except TimeoutError:
            return

    def release(self) -> None:
        if self.place is not None:
            self._places.release(self.place)
