"""Performs tickets: claim -> gates -> run -> record -> follow up. Used by both hosts and by the commands that run jobs.

Here is the front door: batches, turns, and what is submitted to be done in the background. What happens to one ticket
is in performing, what happens to a batch in batches.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

from jobs.events import RunListener
from jobs.ports import Clock
from jobs.running.runner import Runner
from jobs.runs import Run, Ticket
from scheduler.catalog import Catalog
from scheduler.gates import Gates, Wait
from scheduler.planning.left_out import LeftOut
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.port import StoreError
from scheduler.stores.runs import Claim, Held, Runs
from scheduler.work.backlog import BacklogState
from scheduler.work.batches import TicketBatches, TicketEnd, TicketEnds
from scheduler.work.claiming import STILL_ON_TIME, Claiming
from scheduler.work.following import FollowUp, NothingFollows
from scheduler.work.going import Going
from scheduler.work.leases import Leases
from scheduler.work.leaving_out import LeavingOut
from scheduler.work.options import EMBEDDED, Ways
from scheduler.work.parts import Parts
from scheduler.work.performing import Performing
from scheduler.work.places import PlacesReport, Shares
from scheduler.work.recording import NotRecorded, Recorder
from scheduler.work.telling import NotFollowedUp, Telling
from scheduler.work.unclaimed import Unclaimed
from scheduler.work.unstored import Unstored
from scheduler.work.waiting import Waiting

_log = logging.getLogger("scheduler.worker")

SETTLED_WITHIN = 0.5
"""Seconds at the end for the store to note that runs are told of."""


async def _untold(ticket: Ticket, end: TicketEnd) -> None:
    """Somebody waits for the ends."""


class Worker:
    """Performs tickets, `concurrency` at a time."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        runner: Runner,
        listener: RunListener,
        clock: Clock,
        *,
        owner: str,
        concurrency: int,
        shares: Shares | None = None,
        going: Going,
        gates: Gates,
        dead_letters: DeadLetters,
        follow_up: FollowUp | None = None,
        ways: Ways = EMBEDDED,
        began: Callable[[Ticket], None] = lambda _: None,
    ) -> None:
        """`owner` marks this process's claims. `shares`: how many places one job and one host may have. `began` is told
        when a ticket does not wait for its turn any more."""
        leases = Leases(runs, clock, owner)
        patience = STILL_ON_TIME if ways.retries else timedelta()
        self.telling = Telling(listener, follow_up or NothingFollows(), runs, settles=ways.settles)
        """For those who find a run that is recorded, and perhaps not told."""
        self._parts = Parts(
            catalog=catalog,
            runs=runs,
            runner=runner,
            clock=clock,
            gates=gates,
            going=going,
            leases=leases,
            claiming=Claiming(catalog, runs, leases, going, clock, patience=patience),
            recorder=Recorder(
                runs,
                dead_letters,
                clock,
                linger=ways.linger,
                backlog=ways.backlog,
                backlog_for=ways.backlog_for,
                waits=self.telling.tell_ahead,
            ),
            telling=self.telling,
            waiting=Waiting(clock),
        )
        self._performing = Performing(
            self._parts, concurrency=concurrency, shares=shares, hold=ways.hold, alone=ways.alone, began=began
        )
        self._leaving_out = LeavingOut(catalog, runs, self._parts.claiming, self._parts.recorder, self.telling, clock)
        self._unstored = Unstored()
        self._batches = TicketBatches(
            self._performing,
            self._parts.claiming,
            self._unstored,
            self._parts.waiting,
            clock,
            retries=ways.retries,
        )
        self._unclaimed = Unclaimed(catalog, self._leaving_out, self._unstored, clock)
        self._drains = False
        self._in_work: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def owner(self) -> str:
        """Marks this process's claims."""
        return self._parts.leases.owner

    @property
    def in_work(self) -> int:
        """Tickets that are taken and not finished."""
        return len(self._in_work)

    def places(self) -> PlacesReport:
        """Return who holds the places, and how many runs wait for one."""
        return self._performing.places.report()

    def holds(self, run_id: str) -> bool:
        """Whether the run is taken here, or claimed."""
        return run_id in self._in_work or self._parts.leases.holds(run_id)

    def lease_until(self, ticket: Ticket) -> datetime:
        """The end of the lease of a claim that is made for this process now."""
        entry = self._parts.catalog.find(ticket.job)
        return self._parts.leases.until(ticket, entry.job if entry else None)

    @property
    def backlog(self) -> BacklogState:
        """The results that wait until the store takes them."""
        return self._parts.recorder.backlog

    def stored_until(self, instant: datetime) -> datetime:
        """See Unstored.until."""
        return self._unstored.until(instant)

    # --- in the background ---

    def submit(self, *tickets: Ticket) -> asyncio.Task[None] | None:
        """Perform the ticket at its instant; several one after the other. Returns the task that does it.

        After `drain` has begun it is left to the next start, which finds it queued: what follows from the last runs.
        """
        if self._drains:
            return None
        return self._take(tickets, self._batches.run_in_order(tickets, self._log_end))

    def submit_batch(self, tickets: Sequence[Ticket], claim_at: datetime | None = None) -> None:
        """Claim the tickets together, at once or at an instant before theirs, and perform each at its own."""
        self._take(tickets, self._batches.run(tickets, self._log_end, claim_at))

    def submit_claimed(self, *claims: Claim) -> asyncio.Task[None] | None:
        """Perform a ticket that was claimed for this process already, at its instant; several one after the other.

        Returns the task that does it. After `drain` has begun the claims are left to the next start.
        """
        if self._drains:
            return None
        self.hold(*(claim for claim in claims if not self._parts.leases.holds(claim.ticket.id)))
        return self._take([claim.ticket for claim in claims], self._batches.run_claimed(claims, self._log_end))

    def hold(self, *claims: Claim) -> None:
        """Renew the leases of claims that were made for this process and are submitted later."""
        for claim in claims:
            entry = self._parts.catalog.find(claim.ticket.job)
            self._parts.claiming.holds(claim, entry.job if entry else None)

    def submit_leaving_out(self, left_out: LeftOut) -> None:
        """See LeavingOut.leave_out."""
        self._take([left_out.ticket], self._leave_out_logged(left_out))

    def _take(self, tickets: Sequence[Ticket], work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        self._unstored.hold(tickets)
        self._in_work |= {ticket.id for ticket in tickets}
        task = asyncio.get_running_loop().create_task(self._worked(tickets, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _worked(self, tickets: Sequence[Ticket], work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        finally:
            self._in_work.difference_update([ticket.id for ticket in tickets])

    @property
    def in_progress(self) -> list[str]:
        """The ids of the runs that have begun here and are not over."""
        return self._parts.going.in_progress

    async def drain(self, grace: float) -> None:
        """Wait for what is in work, `grace` seconds at most; the rest is cancelled and recorded as such.

        What waits for a place, or for something that a gate names, is queued again; what is planned for a later instant
        will be planned again.
        """
        self._drains = True
        self._parts.waiting.interrupt()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        self._parts.recorder.log_losses()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        await self.telling.aclose(SETTLED_WITHIN)

    async def settle(self) -> None:
        """Wait for everything that was submitted, also for what is due later."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self.telling.aclose()

    def cancel(self, run_id: str, asked: str) -> bool:
        """End a run and record it as cancelled; False if it does not go on here. `asked`: how it was asked for."""
        return self._parts.going.cancel(run_id, asked)

    # --- for those who wait for the end ---

    async def perform(self, ticket: Ticket) -> Held | Wait | None:
        """Perform a ticket, now or at its instant. See Performing.perform."""
        ((_, end),) = await self.perform_batch([ticket])
        if isinstance(end, Exception):
            raise end
        return end

    async def perform_batch(self, tickets: Sequence[Ticket]) -> TicketEnds:
        """Perform each ticket at its instant; of one job, those that are due already one after the other: what a job
        catches up must not overlap itself. One's failure stops no other; it is given as its end."""
        return await self._batches.run(tickets, _untold)

    async def skip(self, ticket: Ticket, reason: str) -> bool:
        """See LeavingOut.skip."""
        return await self._leaving_out.skip(ticket, reason)

    async def leave_out(self, found: LeftOut) -> None:
        """See LeavingOut.leave_out."""
        await self._leaving_out.leave_out(found)

    async def end(self, claim: Claim, run: Run) -> bool:
        """See LeavingOut.end."""
        return await self._leaving_out.end(claim, run)

    # --- logging ---

    async def _log_end(self, ticket: Ticket, end: TicketEnd) -> None:
        if isinstance(end, NotRecorded):
            # Nobody delivers this ticket again: what the run found out is told, though it is not kept.
            self.telling.tell_telemetry(end.run)
            _log.error("run %s is over, but history does not have it: %s", ticket.id, end)
        elif isinstance(end, NotFollowedUp):
            _log.error("%s", end)
        elif isinstance(end, StoreError):
            _log.error("run %s was not started, as the store takes no claim: %s", ticket.id, end)
            self._unclaimed.add(ticket)
        elif isinstance(end, Exception):
            _log.error("run %s broke inside the scheduler", ticket.id, exc_info=end)
        elif end is not None:
            _log.info("run %s is not run again: %s", ticket.id, end)

    async def _leave_out_logged(self, left_out: LeftOut) -> None:
        try:
            await self.leave_out(left_out)
        except StoreError as error:
            _log.error("run %s was left out, but history does not have it: %s", left_out.ticket.id, error)
        self._unstored.stored(left_out.ticket)
