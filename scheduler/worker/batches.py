"""Executes submitted tickets together, each at its instant, and handles the ends that no caller waits for.

Tickets that are due later run concurrently, late tickets of one job in order. An end without a caller is logged; what
could not be claimed is recorded as skipped later.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from jobs.runs import Ticket
from jobs.runs.waits import WaitReason
from scheduler.gates import Wait
from scheduler.planning.plan import MissedSpan
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import AlreadyClaimed, Claim
from scheduler.worker.execution import TicketExecutor
from scheduler.worker.publishing import NotFollowedUp, RunPublisher
from scheduler.worker.recorder import NotRecorded
from scheduler.worker.skipping import FailedClaims, PendingTickets, SkipRecorder
from scheduler.worker.waits import Arrival, WaitTimeline
from scheduler.worker.worker_dependencies import WorkerDependencies

CANCELLATION_TIMEOUT = 1.0
"""Seconds for cancelled tasks to record their runs."""


class BackgroundTasks:
    def __init__(self) -> None:
        self.run_ids: set[str] = set()
        """Ids of the runs whose tickets are submitted and not finished."""
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, tickets: Sequence[Ticket], work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        """Start the work for these tickets."""
        self.run_ids |= {ticket.id for ticket in tickets}
        task = asyncio.get_running_loop().create_task(self._run(tickets, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, tickets: Sequence[Ticket], work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        finally:
            self.run_ids.difference_update([ticket.id for ticket in tickets])

    async def wait(self, seconds: float) -> None:
        """Wait at most `seconds` for all tasks."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def cancel(self) -> None:
        """Cancel all tasks, and wait until they have recorded their runs, within a limit."""
        for task in self._tasks:
            task.cancel()
        await self.wait(CANCELLATION_TIMEOUT)

    async def wait_until_idle(self) -> None:
        """Wait for all tasks, including those that are started meanwhile."""
        while self._tasks:
            await asyncio.wait(self._tasks)


_log = logging.getLogger("scheduler.worker")

TicketEnd = AlreadyClaimed | Wait | Exception | None
"""The end of a ticket: see TicketExecutor.execute."""
TicketEnds = list[tuple[Ticket, TicketEnd]]
OnEnd = Callable[[Ticket, AlreadyClaimed | Wait | Exception], Awaitable[None]]
"""Handles the end of a ticket that was not executed and recorded."""
ClaimAnswer = Claim | AlreadyClaimed | StoreError | None
"""The answer to an early claim; None: the ticket is claimed once it may start."""
_Claimed = tuple[Ticket, ClaimAnswer]
_Started = list[asyncio.Task[tuple[Ticket, TicketEnd]]]

TASKS_PER_TURN = 10
"""Tickets of a batch whose tasks begin in one turn of the event loop: 10,000 that are due together take 0.6 s."""
START_SLICE_US = 4000
"""Microseconds. Tickets due within one slice of a second start together at its end, in one turn of the event loop
instead of several. A whole second ends a slice, so only jobs that are spread on purpose wait for it."""


class TicketBatches:
    def __init__(self, dependencies: WorkerDependencies, pending: PendingTickets) -> None:
        self._executor = TicketExecutor(dependencies)
        self._claimer, self._sleep = dependencies.claimer, dependencies.sleep
        self._clock = dependencies.clock
        self._pending = pending
        self._retries_claims = dependencies.options.retries_claims

    async def run(
        self, tickets: Sequence[Ticket], on_end: OnEnd, arrival: Arrival, claim_at: datetime | None = None
    ) -> TicketEnds:
        """Execute each ticket at its instant, claimed now or at `claim_at`.

        Tickets of one job that are due already run in order, because caught-up runs must not overlap. A failure stops
        no other ticket.
        """
        if claim_at is not None:
            await self._sleep.sleep_until(claim_at)
        together, turns = self._split(tickets)
        parts = await gather_all(
            [
                self._run_together(together, on_end, arrival),
                *(self.run_in_order(turn, on_end, arrival) for turn in turns),
            ]
        )
        return [end for ends in parts for end in ends]

    async def run_in_order(self, tickets: Sequence[Ticket], on_end: OnEnd, arrival: Arrival) -> TicketEnds:
        """Execute the tickets in order, each claimed when its turn comes."""
        ends = []
        turn = WaitTimeline(self._clock, arrival)
        for ticket in tickets:
            waits = turn.fork()
            await self._sleep.sleep_until(ticket.due_at)
            claims = await self._claim_early([ticket])
            waits.end_wait(WaitReason.CLAIM)
            ends.append(await self._run_one(ticket, claims.get(ticket.id), waits, on_end))
            turn.end_wait(WaitReason.GATE, _turn_of(ticket))
        return ends

    async def run_claimed(self, claims: Sequence[Claim], on_end: OnEnd, arrival: Arrival) -> None:
        """Execute claimed tickets in order. Release the claims whose turn does not come."""
        turn = WaitTimeline(self._clock, arrival)
        for number, claim in enumerate(claims):
            try:
                # A process that died may have claimed it before its instant.
                await self._sleep.sleep_until(claim.ticket.due_at)
            except asyncio.CancelledError:
                await gather_all(self._claimer.release_claim(left) for left in claims[number:])
                raise
            await self._run_one(claim.ticket, claim, turn.fork(), on_end)
            turn.end_wait(WaitReason.GATE, _turn_of(claim.ticket))

    def _split(self, tickets: Sequence[Ticket]) -> tuple[list[Ticket], list[list[Ticket]]]:
        """Return the tickets that run concurrently, and by job those that run in order."""
        now = self._clock.now()
        late: defaultdict[str, list[Ticket]] = defaultdict(list)
        together = []
        for ticket in tickets:
            if ticket.due_at <= now:
                late[ticket.job].append(ticket)
            else:
                together.append(ticket)
        together += [turn[0] for turn in late.values() if len(turn) == 1]
        return together, [turn for turn in late.values() if len(turn) > 1]

    async def _run_together(self, tickets: Sequence[Ticket], on_end: OnEnd, arrival: Arrival) -> TicketEnds:
        """Execute each ticket at its instant; they are claimed together before."""
        waits = WaitTimeline(self._clock, arrival)
        claims = await self._claim_early(tickets)
        waits.end_wait(WaitReason.CLAIM)
        waiting: list[_Claimed] = [(ticket, claims.get(ticket.id)) for ticket in tickets]
        waiting.sort(key=lambda one: one[0].due_at, reverse=True)
        started: _Started = []
        try:
            await self._start_each(waiting, started, waits, on_end)
        except asyncio.CancelledError:
            if not self._sleep.is_interrupted:
                for task in started:
                    task.cancel()
            claimed = [answer for _, answer in waiting if isinstance(answer, Claim)]
            await gather_all([self._claimer.delete_claims(claimed), *started])
            raise
        return list(await gather_all(started))

    async def _start_each(self, waiting: list[_Claimed], started: _Started, waits: WaitTimeline, on_end: OnEnd) -> None:
        """Start each ticket at its instant, and remove it from `waiting`, whose last item is due first.

        All tickets share one timer; each has a task only from its instant.
        """
        loop = asyncio.get_running_loop()
        while waiting:
            await self._sleep.sleep_until(_slice_end(waiting[-1][0].due_at))
            # The first ticket starts even if the clock was set back meanwhile.
            until = max(self._clock.now(), waiting[-1][0].due_at)
            while waiting and waiting[-1][0].due_at <= until:
                started.append(loop.create_task(self._run_one(*waiting.pop(), waits.fork(), on_end)))
                if len(started) % TASKS_PER_TURN == 0:
                    await asyncio.sleep(0)  # requests of the API are answered in between

    async def _claim_early(self, tickets: Sequence[Ticket]) -> dict[str, Claim | AlreadyClaimed | StoreError]:
        """Claim the tickets that are claimed before their instants. Returns the answers by run id."""
        early = [ticket for ticket in tickets if self._claimer.is_claimed_early(ticket)]
        if not early:
            return {}
        answers = await self._claimer.claim_batch_over_stall(early)
        for ticket, answer in zip(early, answers, strict=True):
            if not isinstance(answer, StoreError):
                self._pending.remove(ticket)
        return {ticket.id: answer for ticket, answer in zip(early, answers, strict=True)}

    async def _run_one(
        self, ticket: Ticket, claim: ClaimAnswer, waits: WaitTimeline, on_end: OnEnd
    ) -> tuple[Ticket, TicketEnd]:
        waits.end_wait(WaitReason.STARVED_CPU)
        end: TicketEnd
        try:
            if isinstance(claim, StoreError):
                if not self._retries_claims:
                    raise claim
                claim = await self._claimer.claim_with_retry(ticket)
                waits.end_wait(WaitReason.CLAIM, "the store was unavailable")
            end = claim if isinstance(claim, AlreadyClaimed) else await self._executor.execute(ticket, claim, waits)
        except Exception as error:
            end = error
        # Not after a cancellation: the next process executes a ticket that only waited.
        self._pending.remove(ticket)
        if end is not None:
            await on_end(ticket, end)
        return ticket, end


def _turn_of(ticket: Ticket) -> str:
    """Return what the next ticket of the same turn waited for."""
    return f"run {ticket.id} before it"


def _slice_end(instant: datetime) -> datetime:
    """Return the instant, rounded up to a multiple of START_SLICE_US."""
    return instant + timedelta(microseconds=-instant.microsecond % START_SLICE_US)


async def gather_all(works: Iterable[Awaitable[Any]]) -> Sequence[Any]:
    """Return the results. Unlike in a task group, a failure stops no other task; it is raised at the end."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


class BackgroundEnds:
    def __init__(
        self,
        publisher: RunPublisher,
        skip_recorder: SkipRecorder,
        failed_claims: FailedClaims,
        pending: PendingTickets,
    ) -> None:
        self._publisher = publisher
        self._skip_recorder = skip_recorder
        self._failed_claims = failed_claims
        self._pending = pending

    async def handle(self, ticket: Ticket, end: AlreadyClaimed | Wait | Exception) -> None:
        """Log the end of a ticket that was not executed and recorded."""
        if isinstance(end, NotRecorded):
            # No queue delivers this ticket again: the result is published, although it is not stored.
            self._publisher.publish_telemetry(end.run)
            _log.error("could not record run %s: %s; its result is lost", ticket.id, end)
        elif isinstance(end, NotFollowedUp):
            _log.error("%s", end)
        elif isinstance(end, StoreError):
            _log.error("could not claim run %s: %s; it is recorded as skipped once the store is back", ticket.id, end)
            self._failed_claims.add(ticket)
        elif isinstance(end, Exception):
            _log.error("run %s failed inside the scheduler", ticket.id, exc_info=end)
        else:
            _log.info("run %s is not executed: %s", ticket.id, end)

    async def record_missed(self, missed: MissedSpan) -> None:
        """Record missed instants as one skipped run. See SkipRecorder.record_missed."""
        try:
            await self._skip_recorder.record_missed(missed)
        except StoreError as error:
            _log.error("could not record the skipped run %s: %s; it is lost", missed.ticket.id, error)
        self._pending.remove(missed.ticket)
