"""Performs tickets: claim -> gates -> run -> record -> follow up. Used by both hosts.

A step after the claim may be repeated after a crash: the run is recorded before anybody is told of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

from jobs.events import RunFinished, RunListener
from jobs.policies import LONGEST_RUN
from jobs.ports import Clock
from jobs.running.runner import Runner
from jobs.running.verdicts import skipped_run
from jobs.runs import Run, Ticket, Trigger
from scheduler.catalog import Catalog, Entry
from scheduler.gates import Gates, Skip, Wait
from scheduler.going import Going
from scheduler.planning.left_out import LeftOut
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.port import StoreError
from scheduler.stores.runs import Claim, ClaimLost, Held, Record, Runs

_log = logging.getLogger("scheduler.worker")

LEASE_MARGIN = 30.0
"""Seconds that a claim outlives the run's own deadline, for recording it."""
_MOMENT = timedelta(microseconds=1)
LOOKS_AGAIN = timedelta(seconds=0.2)
"""After which a replay that waits looks again inside this process, where that costs nothing."""
STORE_PATIENCE = (0.2, 1.0, 3.0)
"""Seconds between tries to record a finished run while the store is away."""


class NotRecorded(StoreError):
    """The run is over, but the store did not take it. `run`: how it went."""

    def __init__(self, run: Run, reason: StoreError) -> None:
        super().__init__(str(reason))
        self.run = run


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
        going: Going,
        gates: Gates,
        dead_letters: DeadLetters,
    ) -> None:
        """`owner` marks this process's claims."""
        self._catalog = catalog
        self._runs = runs
        self._runner = runner
        self._listener = listener
        self._clock = clock
        self._owner = owner
        self._places = asyncio.Semaphore(concurrency)
        self._going = going
        self._gates = gates
        self._dead_letters = dead_letters
        self._replays: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._asleep: set[asyncio.Task[Any]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unstored: dict[str, datetime] = {}
        """Due instants of planned tickets that were submitted and have no row in the store yet, by run id."""

    @property
    def in_work(self) -> int:
        """Tickets that are taken and not finished."""
        return len(self._tasks)

    def stored_until(self, instant: datetime) -> datetime:
        """This instant, or an earlier one if what fell due before it was submitted and is not stored yet.

        What is planned from there on after a crash misses nothing: a ticket that only waits here dies with the process.
        """
        return min([instant, *(due_at - _MOMENT for due_at in self._unstored.values())])

    def submit(self, *tickets: Ticket) -> None:
        """Perform the ticket in the background, at its instant; several one after the other."""
        self._hold(*tickets)
        self._in_background(self._perform_logged(tickets))

    def submit_leaving_out(self, left_out: LeftOut) -> None:
        """See `leave_out`; in the background."""
        self._hold(left_out.ticket)
        self._in_background(self._leave_out_logged(left_out))

    def _hold(self, *tickets: Ticket) -> None:
        self._unstored |= {ticket.id: ticket.due_at for ticket in tickets if ticket.trigger is Trigger.SCHEDULE}

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, grace: float) -> None:
        """Wait for what is in work, `grace` seconds at most; the rest is cancelled and recorded as such.

        What waits for a later instant, or for another run of its job, stays queued.
        """
        for task in tuple(self._asleep):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)

    async def settle(self) -> None:
        """Wait for everything that was submitted, also for what is due later."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def cancel(self, run_id: str, asked: str) -> bool:
        """End a run and record it as cancelled; False if it does not go on here. `asked`: how it was asked for."""
        return self._going.cancel(run_id, asked)

    async def perform(self, ticket: Ticket) -> Held | Wait | None:
        """Perform a ticket to its end. Returns Held if it is not ours: done already, or another owner is at it; Wait
        if it is a replay and has to wait for another run of its job.

        Raises:
            NotRecorded: it was run, and could not be recorded; deliver it again.
            StoreError: it could not be claimed; deliver it again.
        """
        entry = self._catalog.find(ticket.job)
        if (busy := await self._busy(ticket, entry)) is not None:
            return busy
        async with self._places:
            lease = timedelta(seconds=(entry.job.timeout.run if entry else LONGEST_RUN) + LEASE_MARGIN)
            now = self._clock.now()
            claim = await self._runs.claim(ticket, self._owner, now + lease, now)
            self._unstored.pop(ticket.id, None)
            if isinstance(claim, Held):
                return claim
            run, letter = await self._run(ticket, entry)
            await self._record(claim, run, letter)
            self._listener.run_finished(RunFinished(run))
            if letter is not None:
                self._listener.dead_lettered(ticket, letter.reason)
            await self._going.recorded(run.id)
            return None

    async def skip(self, ticket: Ticket, reason: str) -> bool:
        """Record a ticket that is not run; False if somebody has run it after all, or is at it. Raises StoreError.

        It is not claimed first: a crash in between would leave an interrupted run, which says nothing of the reason.
        """
        entry = self._catalog.find(ticket.job)
        run = skipped_run(entry.job if entry else None, ticket, self._clock, reason)
        there = await self._record_unclaimed(ticket, run)
        if there is not None and (there.run is None or there.run.message != run.message):
            return False
        # If it was there already, whoever recorded it may have died before it told anybody.
        self._listener.run_finished(RunFinished(run))
        return True

    async def leave_out(self, found: LeftOut) -> None:
        """Record missed instants as one skipped run, at the latest of them that has no run yet: a tick that was cut
        short may have run some of them. Raises StoreError."""
        left_out: LeftOut | None = found
        while left_out is not None and not await self.skip(left_out.ticket, left_out.reason):
            left_out = left_out.earlier()
        if left_out is not None:
            _log.warning("run %s is left out: %s", left_out.ticket.id, left_out.reason)

    async def _record_unclaimed(self, ticket: Ticket, run: Run) -> Record | None:
        """See Runs.record; over a short absence of the store."""
        for pause in STORE_PATIENCE:
            try:
                return await self._runs.record(ticket, run)
            except StoreError as error:
                _log.warning("run %s is not recorded yet: %s", run.id, error)
                await self._clock.sleep(pause)
        return await self._runs.record(ticket, run)

    async def _busy(self, ticket: Ticket, entry: Entry | None) -> Wait | None:
        """Whether a replay has to wait: it is not even claimed then."""
        if ticket.trigger is not Trigger.REPLAY or entry is None:
            return None
        verdict = await self._gates.ask(ticket, entry)
        await self._gates.leave(ticket, entry)
        return verdict if isinstance(verdict, Wait) else None

    async def _run(self, ticket: Ticket, entry: Entry | None) -> tuple[Run, DeadLetter | None]:
        """The run, and the dead letter that it becomes, if so."""
        if entry is None:
            return skipped_run(None, ticket, self._clock, "there is no job of that name any more"), None
        try:
            return await self._through_the_gates(ticket, entry)
        finally:
            await self._gates.leave(ticket, entry)

    async def _through_the_gates(self, ticket: Ticket, entry: Entry) -> tuple[Run, DeadLetter | None]:
        while isinstance(verdict := await self._gates.ask(ticket, entry), Wait):
            await self._gates.wait(ticket, verdict)
        if isinstance(verdict, Skip):
            return skipped_run(entry.job, ticket, self._clock, verdict.reason), None
        execution = self._runner.start(entry.job, ticket)
        run = await self._going.to_its_end(ticket, execution)
        if not (entry.job.dead_letter and run.outcome.down):
            return run, None
        return run, DeadLetter.of_run(run, ticket, entry.job, execution.traceback)

    async def _record(self, claim: Claim, run: Run, letter: DeadLetter | None = None) -> None:
        """Write the finished run, over a short absence of the store; its letter first, so that no crash loses it."""
        for pause in (*STORE_PATIENCE, None):
            try:
                if letter is not None:
                    await self._dead_letters.add(letter)
                await self._runs.finish(claim, run)
                return
            except ClaimLost:
                if letter is not None:
                    await self._dead_letters.discard(letter.id)
                _log.warning("run %s took longer than its lease and was taken over; its result is dropped", run.id)
                return
            except StoreError as error:
                if pause is None:
                    raise NotRecorded(run, error) from error
                _log.warning("run %s is not recorded yet: %s", run.id, error)
                await self._clock.sleep(pause)

    async def _leave_out_logged(self, left_out: LeftOut) -> None:
        try:
            await self.leave_out(left_out)
        except StoreError as error:
            _log.error("run %s was left out, but history does not have it: %s", left_out.ticket.id, error)
        self._unstored.pop(left_out.ticket.id, None)

    async def _perform_logged(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            await self._asleep_until(ticket.due_at)
            await self._perform_one_logged(ticket)

    async def _asleep_until(self, instant: datetime) -> None:
        """To be interrupted at the program's end, unlike a run."""
        seconds = (instant - self._clock.now()).total_seconds()
        if seconds <= 0:
            return
        task = asyncio.current_task()
        assert task is not None
        self._asleep.add(task)
        try:
            await self._clock.sleep(seconds)
        finally:
            self._asleep.discard(task)

    async def _perform_in_turn(self, ticket: Ticket) -> Held | None:
        """Replays of a job take their turn here, so that only one of them looks for when the job is free."""
        if ticket.trigger is not Trigger.REPLAY:
            held = await self.perform(ticket)
            assert not isinstance(held, Wait)
            return held
        async with self._replays[ticket.job]:
            while isinstance(held := await self.perform(ticket), Wait):
                await self._asleep_until(self._clock.now() + LOOKS_AGAIN)
            return held

    async def _perform_one_logged(self, ticket: Ticket) -> None:
        try:
            held = await self._perform_in_turn(ticket)
        except NotRecorded as error:
            # Nobody delivers this ticket again: what the run found out is told, though it is not kept.
            self._listener.run_finished(RunFinished(error.run))
            _log.error("run %s is over, but history does not have it: %s", ticket.id, error)
        except StoreError as error:
            _log.error("run %s was not started, as the store takes no claim: %s", ticket.id, error)
        except Exception:
            _log.exception("run %s broke inside the scheduler", ticket.id)
        else:
            if held is not None:
                _log.info("run %s is not run again: %s", ticket.id, held)
        # Not after a cancellation: a ticket that only waited is left to the next process.
        self._unstored.pop(ticket.id, None)
