"""One ticket, from its instant to its end: gates -> run -> record -> follow up. Used by the worker.

A step after the claim may be repeated after a crash: the run is recorded before anybody is told of it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.definition import JobDefinition
from jobs.ports import Clock
from jobs.running.runner import Runner
from jobs.running.verdicts import cancelled_run, interrupted_run, skipped_run
from jobs.runs import Outcome, Run, Ticket, Trigger
from jobs.values import value
from scheduler.catalog import Catalog, Entry
from scheduler.gates import Gates, Skip, Wait
from scheduler.gates.open_runs import KNOWN_FOR
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.port import StoreError
from scheduler.stores.runs import Claim, ClaimLost, End, Held, Runs
from scheduler.work.claiming import Claiming
from scheduler.work.going import Going
from scheduler.work.leases import LEASE, Leases
from scheduler.work.places import Place, Places, Shares
from scheduler.work.placing import Placing
from scheduler.work.recording import Recorder
from scheduler.work.telling import Telling
from scheduler.work.waiting import Waiting

_log = logging.getLogger("scheduler.worker")

LEASE_TRIED_AGAIN = timedelta(seconds=1)
"""After which a lease that could not be renewed before the start is tried again."""

WRITTEN_WITHIN = 0.5
"""Seconds for the store to take results."""

LEAST_LINGER = 0.1
"""Seconds that a result waits for others also where the next run looks soon: late runs of many jobs end together."""

TURN_AFTER = timedelta(seconds=5)
"""After which a replay that found another one of its job is performed again, where it does not wait here."""
HERE_AGAIN = timedelta(seconds=LEASE)
"""After which a ticket that is here already is performed again: so late that whoever gets it then looks whether its run
was told of, as this process may die before."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What performing is made of; also the worker's parts."""

    catalog: Catalog
    runs: Runs
    runner: Runner
    clock: Clock
    gates: Gates
    going: Going
    leases: Leases
    claiming: Claiming
    recorder: Recorder
    telling: Telling
    waiting: Waiting


@value(frozen=True, slots=True)
class _Ended:
    """A run that is over. `claim` None: it was left out before it was claimed."""

    run: Run
    claim: Claim | None
    letter: DeadLetter | None = None


class _Changed(Exception):
    """The job's definition was replaced while the ticket waited."""


class Performing:
    """`concurrency`: how many runs go on at once; `shares`: how many of those one job and one host may have. `hold`:
    seconds for which a ticket waits here for a place, and for what a gate names; None: as long as it takes. `alone`: no
    other process looks at the store to see whether a run goes on. `began` is told when a ticket does not wait for its
    turn any more."""

    def __init__(
        self,
        parts: Parts,
        *,
        concurrency: int,
        shares: Shares | None = None,
        hold: float | None,
        alone: bool,
        began: Callable[[Ticket], None] = lambda _: None,
    ) -> None:
        self._parts = parts
        self.places = Places(concurrency, shares, parts.clock.monotonic)
        self._hold = None if hold is None else timedelta(seconds=hold)
        self._placing = Placing(self.places, parts.going, parts.waiting, parts.clock, self._hold)
        self._alone = alone
        self._began = began
        self._here: set[str] = set()
        """Runs that are being performed: a message may be delivered here while it is here already."""
        self._replays: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def perform(self, ticket: Ticket, claim: Claim | None) -> Held | Wait | None:
        """Perform a ticket whose instant has come to its end. `claim` None: it is claimed once it may start.

        Returns Held if it is not ours: done already, or another owner is at it; Wait if it waits for something for
        longer than `hold`: it is given back, and to be performed again at `until`.

        Raises:
            NotRecorded: it was run, and could not be recorded; deliver it again.
            StoreError, DispatchError: it could not be claimed or followed up; deliver it again.
        """
        if ticket.id in self._here and claim is None:
            # What gates and slots know of a run they know by its id, so it waits for them once at a time.
            return Wait(self._parts.clock.now() + HERE_AGAIN, "it is being performed in this process already")
        self._here.add(ticket.id)
        try:
            if not ticket.trigger.is_rerun:
                return await self._perform(ticket, claim)
            # Replays of a job take their turn, so that only one of them looks for when the job is free.
            turn = self._replays[ticket.job]
            if turn.locked() and self._hold is not None:
                return Wait(self._parts.clock.now() + TURN_AFTER, "another replay of its job goes on")
            async with turn:
                return await self._perform(ticket, claim)
        finally:
            self._here.discard(ticket.id)
            self._began(ticket)
            if claim is not None:
                self._parts.claiming.let_go(claim)

    async def _perform(self, ticket: Ticket, claim: Claim | None) -> Held | Wait | None:
        while True:
            entry = self._parts.catalog.find(ticket.job)
            if entry is None:
                run = skipped_run(None, ticket, self._parts.clock, "there is no job of that name any more")
                return await self._record(ticket, None, _Ended(run, claim))
            try:
                return await self._perform_by(entry, ticket, claim)
            except _Changed:
                continue

    async def _perform_by(self, entry: Entry, ticket: Ticket, claim: Claim | None) -> Held | Wait | None:
        """Raises _Changed: another definition is in force by now, and it has not begun."""
        try:
            ended = await self._through_the_gates(ticket, entry, claim)
        except asyncio.CancelledError:
            # It only waited: a run that is cancelled comes to an end.
            if claim is not None:
                await self._parts.claiming.give_back(claim)
            raise
        except ClaimLost as error:
            _log.warning("run %s waited so long that it was taken over: %s", ticket.id, error)
            return None
        finally:
            await self._parts.gates.leave(ticket, entry)
        if isinstance(ended, Wait) and claim is not None:
            await self._parts.claiming.give_back(claim)
        return await self._record(ticket, entry, ended) if isinstance(ended, _Ended) else ended

    # --- gates ---

    async def _through_the_gates(self, ticket: Ticket, entry: Entry, claim: Claim | None) -> _Ended | Held | Wait:
        if claim is not None and (interrupted := self._interrupted(claim, entry)) is not None:
            return interrupted
        verdict = await self._let_in(ticket, entry, claim)
        if not isinstance(verdict, Place):
            return _Ended(verdict, claim) if isinstance(verdict, Run) else verdict
        self._began(ticket)
        try:
            if claim is None:
                mine = await self._parts.claiming.one(ticket)
                if isinstance(mine, Held):
                    return mine
                claim = mine
                if (interrupted := self._interrupted(claim, entry)) is not None:
                    return interrupted
            await self._unless_the_end_has_come(claim)
            return await self._run(ticket, entry, claim)
        finally:
            self.places.leave(verdict)

    async def _unless_the_end_has_come(self, claim: Claim) -> None:
        """Raises asyncio.CancelledError if the program ends: the next one performs it."""
        try:
            self._parts.waiting.check()
        except asyncio.CancelledError:
            await self._parts.claiming.give_back(claim)
            raise

    async def _let_in(self, ticket: Ticket, entry: Entry, claim: Claim | None) -> Place | Run | Wait:
        """A place: it may begin. A run: it is over without having begun."""
        parts = self._parts
        give_up_at: datetime | None = None
        is_first = True
        while True:
            parts.waiting.check()
            place = await self._placing.place(ticket, entry.job, is_first=is_first)
            if not isinstance(place, Place):
                return self._left_out(ticket, entry.job, place) if isinstance(place, Skip) else place
            is_first = False
            try:
                if self._is_changed(entry):
                    raise _Changed
                verdict = await self._ask(ticket, entry, claim)
            except BaseException:
                self.places.leave(place)
                raise
            if verdict is None:
                return place
            self.places.leave(place)
            if isinstance(verdict, Run):
                return verdict
            self._began(ticket)  # from now on it waits for what its definition names, not for its turn
            if self._hold is not None:
                give_up_at = give_up_at or parts.clock.now() + self._hold
                if parts.clock.now() >= give_up_at:
                    return verdict
            waiting = parts.gates.wait(ticket, verdict, give_up_at)
            asked = await parts.going.wait(ticket.id, parts.waiting.for_(waiting))
            if asked:
                return self._cancelled(ticket, entry.job, asked)

    def _is_changed(self, entry: Entry) -> bool:
        """Whether its job is another one by now, or gone."""
        found = self._parts.catalog.find(entry.job.name)
        return found is not entry and (found is None or found.job != entry.job)

    async def _ask(self, ticket: Ticket, entry: Entry, claim: Claim | None) -> Run | Wait | None:
        parts = self._parts
        if asked := parts.going.begins(ticket.id):
            return self._cancelled(ticket, entry.job, asked)
        verdict = await parts.gates.ask(ticket, entry)
        if isinstance(verdict, Skip):
            return self._left_out(ticket, entry.job, verdict)
        if verdict is None and claim is not None:
            try:
                await parts.leases.cover(claim, entry.job)
            except ClaimLost:
                raise
            except StoreError as error:
                return Wait(parts.clock.now() + LEASE_TRIED_AGAIN, f"its lease cannot be renewed: {error}")
        return verdict

    # --- run ---

    async def _run(self, ticket: Ticket, entry: Entry, claim: Claim) -> _Ended:
        """By one definition to the end, which the run names as its own, whichever it was planned for."""
        job = entry.job
        if ticket.generation != entry.generation:
            ticket = replace(ticket, generation=entry.generation)
        execution = self._parts.runner.start(job, ticket)
        run = await self._parts.going.to_its_end(ticket, execution)
        if not (job.dead_letter and run.outcome.down):
            return _Ended(run, claim)
        return _Ended(run, claim, DeadLetter.of_run(run, ticket, job, execution.traceback))

    def _interrupted(self, claim: Claim, entry: Entry) -> _Ended | None:
        """The end of a run that must not be executed again, and that somebody had begun who died."""
        if not claim.taken_over or entry.job.effect != "once":
            return None
        ticket, job = claim.ticket, entry.job
        run = interrupted_run(ticket, ticket.due_at, self._parts.clock.now(), job)
        return _Ended(run, claim, DeadLetter.of_run(run, ticket, job) if job.dead_letter else None)

    def _left_out(self, ticket: Ticket, job: JobDefinition, skip: Skip) -> Run:
        if skip.asked:
            return self._cancelled(ticket, job, skip.asked)
        return skipped_run(job, ticket, self._parts.clock, skip.reason)

    def _cancelled(self, ticket: Ticket, job: JobDefinition, asked: str) -> Run:
        now = self._parts.clock.now()
        return cancelled_run(job, ticket, now, now, asked=asked)

    # --- record and follow up ---

    async def _record(self, ticket: Ticket, entry: Entry | None, ended: _Ended) -> Held | None:
        parts, run, claim, letter = self._parts, ended.run, ended.claim, ended.letter
        settled = parts.telling.finishes_settled(ticket.job)
        if claim is None and settled:
            there = await parts.runs.record(ticket, run)
            if there is None:
                await parts.telling.tell(run)
                return None
        if claim is None:
            mine = await parts.claiming.one(ticket)
            if isinstance(mine, Held):
                return mine
            claim = mine
            if entry is not None and (interrupted := self._interrupted(claim, entry)) is not None:
                run, letter = interrupted.run, interrupted.letter
        try:
            end = End(parts.leases.newest(claim), run, settled)
            if not await parts.recorder.record(end, letter, within=self._linger(run, entry)):
                return None
            if claim.taken_over and letter is None and entry is not None and entry.job.dead_letter:
                await parts.recorder.discard_letter(DeadLetter.id_of(run))
        finally:
            parts.claiming.let_go(claim)
        await parts.telling.tell(run, letter)
        await parts.going.recorded(run.id)
        return None

    def _linger(self, run: Run, entry: Entry | None) -> float:
        """Seconds for which the result may wait for others: none if somebody waits for it, or if the run could not be
        repeated should this process die."""
        linger = self._parts.recorder.linger
        if entry is None:
            return linger
        asked_for = run.trigger is not Trigger.SCHEDULE or run.outcome is Outcome.CANCELLED
        if asked_for or entry.job.effect == "once" or self._parts.telling.follows(run.job):
            return 0.0
        return linger if self._alone else min(linger, max(LEAST_LINGER, self._until_next_looks(run, entry)))

    def _until_next_looks(self, run: Run, entry: Entry) -> float:
        """Seconds until the job's next run, in another process, may read that this one is open."""
        if entry.job.schedule is None or entry.job.overlap == "allow":
            return math.inf
        following = entry.job.schedule.next_after(run.due_at)
        if following is None:
            return math.inf
        return (following - self._parts.clock.now()).total_seconds() - KNOWN_FOR - WRITTEN_WITHIN
