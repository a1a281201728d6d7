"""Gets a run its place among those of its process, or says why it has none. Used by performing.

A run waits for a place without blocking others. It does not wait for ever: a job has at most MOST_WAITING runs that
wait, and where tickets are delivered in messages (the Functions host), a run waits for as long as `hold` says.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from jobs.definition import JobDefinition
from jobs.durations import format_duration
from jobs.ports import Clock
from jobs.running.hosts import host_of_endpoint
from jobs.runs import Ticket, Trigger
from scheduler.gates import Skip, Wait
from scheduler.work.going import Going
from scheduler.work.places import Place, Places
from scheduler.work.waiting import Waiting

MOST_WAITING = 50
"""Scheduled runs of one job. Each of them waits where the job says so by `overlap: buffer_all`, or catches it up."""
CAUGHT_UP_AFTER = timedelta(seconds=10)
"""A run of a job with `catch_up: all` that comes so late is one that it catches up."""


class Placing:
    """`hold`: seconds for which a ticket waits here; None: until it has a place."""

    def __init__(self, places: Places, going: Going, waiting: Waiting, clock: Clock, hold: timedelta | None) -> None:
        self._places = places
        self._going = going
        self._waiting = waiting
        self._clock = clock
        self._hold = hold

    async def place(self, ticket: Ticket, job: JobDefinition, *, is_first: bool) -> Place | Skip | Wait:
        """Return the run's place, to be given back by `Places.leave`.

        `is_first`: it is new here, and may be left out (Skip) instead of waiting. Wait: deliver the ticket again.
        """
        host = host_of_endpoint(job.check.endpoint)
        if (place := self._places.try_take(job.name, host)) is not None:
            return place
        may_skip = self._may_skip(ticket, job)
        if is_first and may_skip and job.overlap != "buffer_all" and self._places.waiting(job.name) >= MOST_WAITING:
            why = self._places.why_none(job.name, host)
            return Skip(f"{MOST_WAITING} runs of its job wait for a place already: {why}")
        taking = _Taking(self._places, job.name, host, self._hold)
        if asked := await self._going.wait(ticket.id, self._waiting.for_(taking.take())):
            taking.leave()
            return Skip(asked, asked)
        if taking.place is not None:
            return taking.place
        assert self._hold is not None, "it waits for as long as it takes otherwise"
        why = self._places.why_none(job.name, host)
        reason = f"no place was free within {format_duration(self._hold.total_seconds())}: {why}"
        return Skip(reason) if may_skip and not self._places.full else Wait(self._clock.now(), reason)

    def _may_skip(self, ticket: Ticket, job: JobDefinition) -> bool:
        """Whether nobody waits for this very run: it is not asked for, follows from no other one and is on time."""
        if ticket.trigger is not Trigger.SCHEDULE:
            return False
        return job.catch_up.policy != "all" or self._clock.now() - ticket.due_at < CAUGHT_UP_AFTER


class _Taking:
    """One wait for a place, which may end without one."""

    def __init__(self, places: Places, job: str, host: str, hold: timedelta | None) -> None:
        self._places = places
        self._job = job
        self._host = host
        self._hold = hold
        self.place: Place | None = None

    async def take(self) -> None:
        try:
            async with asyncio.timeout(None if self._hold is None else self._hold.total_seconds()):
                self.place = await self._places.take(self._job, self._host)
        except TimeoutError:
            return

    def leave(self) -> None:
        if self.place is not None:
            self._places.leave(self.place)
