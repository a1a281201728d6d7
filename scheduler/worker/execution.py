"""Executes one ticket from its instant to its end: admit -> claim -> run -> finish.

Admission acquires a place of the process, checks the gates, and waits for both. A run is recorded before it is
published and starts its dependents: a crash may repeat a step, but omits none.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from datetime import datetime, timedelta

from jobs.checks.clock import SendPermission
from jobs.definition import JobDefinition
from jobs.errors import LeaseEnded, RunWithoutResult
from jobs.fast_frozen import copy_with, fast_frozen
from jobs.ports import Clock
from jobs.running.run_factories import cancelled_run, interrupted_run, skipped_run
from jobs.runs import Outcome, Run, Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from jobs.runs.waits import WaitReason
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates import GateVerdict, Skip, Wait
from scheduler.gates.remote_runs import KEYS_VALID_S
from scheduler.leasing import MIN_LEASE_S
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import AlreadyClaimed, Claim, ClaimLost, RunResult
from scheduler.worker.claims import TicketClaim
from scheduler.worker.place_assignment import PlaceAssigner
from scheduler.worker.places import HeldPlace
from scheduler.worker.waits import WaitTimeline
from scheduler.worker.worker_dependencies import WorkerDependencies


@fast_frozen(frozen=True, slots=True)
class TicketResult:
    """A run to record with its dead letter, or the reason why the ticket was not run (`not_run`)."""

    run: Run | None = None
    letter: DeadLetter | None = None
    not_run: AlreadyClaimed | Wait | None = None

    @staticmethod
    def executed(run: Run, ticket: Ticket, job: JobDefinition, traceback: str = "") -> TicketResult:
        """Return the result of a run that was executed or interrupted."""
        if not (job.dead_letter and run.outcome.down):
            return TicketResult(run)
        return TicketResult(run, DeadLetter.from_run(run, ticket, job, traceback))

    @staticmethod
    def interrupted(ticket: Ticket, job: JobDefinition, clock: Clock) -> TicketResult:
        """Return the result of a run that must not be executed again, and whose process died."""
        return TicketResult.executed(interrupted_run(ticket, ticket.due_at, clock.now(), job), ticket, job)

    @staticmethod
    def denied(ticket: Ticket, job: JobDefinition | None, clock: Clock, denial: Skip | Wait) -> TicketResult:
        """Return the result of a ticket without a place, or that a gate skips or holds."""
        if isinstance(denial, Wait):
            return TicketResult(not_run=denial)
        if denial.cancelled_by and job is not None:
            now = clock.now()
            return TicketResult(cancelled_run(job, ticket, now, now, cancelled_by=denial.cancelled_by))
        return TicketResult(skipped_run(job, ticket, clock, denial.reason))


LEASE_RETRY_AFTER = timedelta(seconds=1)
"""After which the renewal of a lease that failed before the start is tried again."""


_WAIT_REASONS = {ReasonCode.NO_SLOT: WaitReason.PLACE, ReasonCode.STORE_UNAVAILABLE: WaitReason.CLAIM}
"""What a run waited for, by the reason of a gate; for other reasons it is the gate."""


class TicketAdmission:
    """Lets tickets start, each in a place of the process."""

    def __init__(self, dependencies: WorkerDependencies) -> None:
        self._catalog, self._gates = dependencies.catalog, dependencies.gates
        self._registry, self._sleep = dependencies.registry, dependencies.sleep
        self._clock = dependencies.clock
        self._semaphore, self._on_started = dependencies.semaphore, dependencies.on_started
        max_wait = dependencies.options.max_wait
        self._max_wait = None if max_wait is None else timedelta(seconds=max_wait)
        self._place_assigner = PlaceAssigner(
            self._semaphore, self._registry, self._sleep, self._clock, self._max_wait, dependencies.gates.on_waited
        )

    async def admit(self, claim: TicketClaim, entry: CatalogJob) -> HeldPlace | Skip | Wait | None:
        """Return the place in which the run may start now; the caller releases it.

        Skip: the run ends without having started. Wait: deliver the ticket again. None: the job's definition was
        replaced meanwhile.

        Raises:
            ClaimLost: another owner has the run.
        """
        ticket = claim.ticket
        give_up_at: datetime | None = None
        is_first, has_waited = True, False
        while True:
            self._sleep.raise_if_interrupted()
            if cancelled_by := self._registry.pop_cancellation(ticket.id):
                return Skip(Reason(ReasonCode.CANCELLED, cancelled_by), cancelled_by)
            place = self._semaphore.try_acquire(ticket.job, entry.host)
            if place is None:
                has_waited = True
                found = await self._place_assigner.wait_for_place(ticket, entry, claim.waits, is_first=is_first)
                if not isinstance(found, HeldPlace):
                    return found
                place = found
            is_first, is_admitted = False, False
            try:
                if has_waited and self._is_replaced(entry):
                    return None
                verdict = await self._check_gates(claim, entry)
                is_admitted = verdict is None
            finally:
                if not is_admitted:
                    self._semaphore.release(place)
            if verdict is None:
                return place
            if isinstance(verdict, Skip):
                return verdict
            has_waited = True
            self._on_started(ticket)  # from now on the ticket waits for a condition of its job, not for its turn
            if self._max_wait is not None:
                give_up_at = give_up_at or self._clock.now() + self._max_wait
                if self._clock.now() >= give_up_at:
                    return verdict
            if cancelled_by := await self._wait(claim, verdict, give_up_at):
                return Skip(Reason(ReasonCode.CANCELLED, cancelled_by), cancelled_by)

    async def _wait(self, claim: TicketClaim, verdict: Wait, give_up_at: datetime | None) -> str:
        """Wait until the next check. Return who cancelled the run; "" if it was not cancelled."""
        waiting = self._gates.wait(claim.ticket, verdict, give_up_at)
        cancelled_by = await self._registry.wait_for(claim.ticket.id, self._sleep.wait_for(waiting))
        claim.waits.end_wait(_WAIT_REASONS.get(verdict.reason.code, WaitReason.GATE), verdict.subject)
        return cancelled_by

    def _is_replaced(self, entry: CatalogJob) -> bool:
        """Return whether the job was changed or removed meanwhile."""
        found = self._catalog.find_job(entry.job.name)
        return found is not entry and (found is None or found.job != entry.job)

    async def _check_gates(self, claim: TicketClaim, entry: CatalogJob) -> GateVerdict:
        verdict = await self._gates.check(claim.ticket, entry)
        if verdict is None:
            claim.waits.end_wait(WaitReason.GATE)
            if claim.covers_run(entry.job):
                return None
            try:
                await claim.ensure_covers_run(entry.job)
            except ClaimLost:
                raise
            except StoreError as error:
                reason = Reason(ReasonCode.STORE_UNAVAILABLE, f"the lease cannot be renewed: {error}")
                return Wait(self._clock.now() + LEASE_RETRY_AFTER, reason, "the store was unavailable")
        return verdict


STORE_WRITE_TIME = 0.5
"""Seconds for the store to write results."""
MIN_RESULT_DELAY = 0.1
"""Seconds that a result waits for others even if the next run is close: late runs of many jobs end together."""


class ResultFinisher:
    def __init__(self, dependencies: WorkerDependencies) -> None:
        self._dependencies = dependencies

    async def finish(
        self, claim: TicketClaim, entry: CatalogJob | None, run: Run, letter: DeadLetter | None
    ) -> AlreadyClaimed | None:
        """Record the run, claimed or not, then publish it. Returns AlreadyClaimed if another owner has it.

        Raises:
            NotRecorded, StoreError, DispatchError: see TicketExecutor.execute.
        """
        claim.mark_used()
        parts = self._dependencies
        if parts.health is not None and entry is not None:
            run = await parts.health.name_missing(run, entry.job)
        is_acknowledged = parts.publisher.is_acknowledged_on_finish(run.job)
        if not claim.is_claimed:
            if is_acknowledged and await parts.runs.insert_finished(claim.ticket, run) is None:
                await parts.publisher.publish(run)
                return None
            if (held := await claim.ensure()) is not None:
                return held
            if entry is not None and claim.must_not_run(entry.job):
                interrupted = TicketResult.interrupted(claim.ticket, entry.job, parts.clock)
                run, letter = interrupted.run or run, interrupted.letter
        end = RunResult(claim.current(), run, is_acknowledged)
        if not await parts.recorder.record(end, letter, max_delay=self._max_delay(run, entry)):
            return None
        if claim.is_recovered and letter is None and entry is not None and entry.job.dead_letter:
            await parts.recorder.discard_dead_letter(DeadLetter.id_for_run(run))
        claim.forget()  # its lease is not renewed while the run is published
        await parts.publisher.publish(run, letter)
        await parts.registry.clear_cancellation(run.id)
        return None

    def _max_delay(self, run: Run, entry: CatalogJob | None) -> float:
        """Return the seconds for which the result may wait for others.

        It is 0 if a caller waits for the result, or if the run could not be repeated should this process die.
        """
        delay = self._dependencies.recorder.max_delay
        if entry is None:
            return delay
        is_requested = run.trigger is not Trigger.SCHEDULE or run.outcome is Outcome.CANCELLED
        if is_requested or entry.job.effect == "once" or self._dependencies.publisher.has_dependents(run.job):
            return 0.0
        if self._dependencies.options.is_only_process:
            return delay
        return min(delay, max(MIN_RESULT_DELAY, self._until_next_read(run, entry)))

    def _until_next_read(self, run: Run, entry: CatalogJob) -> float:
        """Return the seconds until the job's next run, in another process, may read that this one is open."""
        if entry.job.schedule is None or entry.job.overlap == "allow":
            return math.inf
        following = entry.job.schedule.next_after(run.due_at)
        if following is None:
            return math.inf
        return (following - self._dependencies.clock.now()).total_seconds() - KEYS_VALID_S - STORE_WRITE_TIME


_log = logging.getLogger("scheduler.worker")

REPLAY_RETRY_AFTER = timedelta(seconds=5)
"""After which a replay is delivered again because another replay of its job is in-flight."""
DUPLICATE_RETRY_AFTER = timedelta(seconds=MIN_LEASE_S)
"""After which a ticket that is in-flight here is delivered again: by then its run is published, or its process died."""


class TicketExecutor:
    def __init__(self, dependencies: WorkerDependencies) -> None:
        self._dependencies = dependencies
        self._admission = TicketAdmission(dependencies)
        self._finisher = ResultFinisher(dependencies)
        self._in_flight: set[str] = set()
        """Ids of runs that are executed here: a queue may deliver a message twice at the same time."""
        self._replay_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def execute(self, ticket: Ticket, claim: Claim | None, waits: WaitTimeline) -> AlreadyClaimed | Wait | None:
        """Execute a ticket whose instant has come. `claim` None: the ticket is claimed once it may start.

        `waits`: what it has waited for until now, which is continued here.

        Returns AlreadyClaimed if the run is finished or has another owner. Returns Wait if the ticket has to wait for
        longer than `max_wait`: it is released, and must be executed again at `retry_at`.

        Raises:
            NotRecorded: the run finished, but could not be recorded; deliver the ticket again.
            StoreError, DispatchError: claim or follow-up failed; deliver the ticket again.
        """
        if ticket.id in self._in_flight:
            # Gates and slots identify a run by its id, so a run waits for them only once at a time. A claim that was
            # made here after the lease of that execution had ended is its claim from now on.
            reason = Reason(ReasonCode.IN_PROGRESS, "it is in-flight in this process already")
            return Wait(self._dependencies.clock.now() + DUPLICATE_RETRY_AFTER, reason)
        self._in_flight.add(ticket.id)
        mine = TicketClaim(ticket, claim, self._dependencies.claimer, self._dependencies.leases, waits)
        try:
            if not ticket.trigger.is_rerun:
                return await self._execute(mine)
            # Replays of a job run in order, so that only one of them checks whether the job is free.
            turn = self._replay_locks[ticket.job]
            if turn.locked() and self._dependencies.options.max_wait is not None:
                reason = Reason(ReasonCode.IN_PROGRESS, "another replay of its job is in-flight")
                return Wait(self._dependencies.clock.now() + REPLAY_RETRY_AFTER, reason)
            async with turn:
                waits.end_wait(WaitReason.GATE, "another replay of its job")
                return await self._execute(mine)
        finally:
            self._in_flight.discard(ticket.id)
            self._dependencies.on_started(ticket)
            if not mine.is_forgotten:
                await mine.release()
            self._dependencies.registry.mark_ended(ticket.id)

    async def _execute(self, mine: TicketClaim) -> AlreadyClaimed | Wait | None:
        """Execute the ticket by the job's current definition; start anew if it is replaced before the run starts."""
        result: TicketResult | None = None
        while result is None:
            entry = self._dependencies.catalog.find_job(mine.ticket.job)
            if entry is None:
                gone = Skip(Reason(ReasonCode.JOB_REMOVED, "the job was removed"))
                result = TicketResult.denied(mine.ticket, None, self._dependencies.clock, gone)
                break
            try:
                result = await self._execute_by(mine, entry)
            except ClaimLost as error:
                mine.mark_used()
                _log.warning("could not start run %s: %s; another process took it over", mine.ticket.id, error)
                result = TicketResult()
            finally:
                await self._dependencies.gates.release(mine.ticket, entry)
        if result.run is not None:
            return await self._finisher.finish(mine, entry, result.run, result.letter)
        return result.not_run

    async def _execute_by(self, mine: TicketClaim, entry: CatalogJob) -> TicketResult | None:
        """Return the result; None: the definition was replaced before the run started, or the lease ended."""
        clock = self._dependencies.clock
        if mine.must_not_run(entry.job):
            return TicketResult.interrupted(mine.ticket, entry.job, clock)
        place = await self._admission.admit(mine, entry)
        if not isinstance(place, HeldPlace):
            return None if place is None else TicketResult.denied(mine.ticket, entry.job, clock, place)
        self._dependencies.on_started(mine.ticket)
        try:
            if not mine.is_claimed:
                if (held := await mine.ensure()) is not None:
                    return TicketResult(not_run=held)
                if mine.must_not_run(entry.job):
                    return TicketResult.interrupted(mine.ticket, entry.job, clock)
            self._dependencies.sleep.raise_if_interrupted()
            return await self._run(mine, entry)
        finally:
            self._dependencies.semaphore.release(place)

    async def _run(self, mine: TicketClaim, entry: CatalogJob) -> TicketResult | None:
        """Run the job by one definition, which the run records as its own, whichever it was planned for.

        None: this process stalled until the lease ended, before it sent the next request, or the process that made the
        attempts has ended. The caller starts anew, which renews the lease or finds that another process took the run
        over.
        """
        mine.mark_used()
        ticket = mine.ticket
        if ticket.generation != entry.generation:
            ticket = copy_with(ticket, generation=entry.generation)
        permission = SendPermission(mine.may_send, mine.sending_until)
        execution = self._dependencies.runner.start(entry.job, ticket, permission)
        mine.waits.end_wait(WaitReason.STARVED_CPU)
        try:
            run = await self._dependencies.registry.run_until_done(ticket, execution)
        except RunWithoutResult as error:
            if permission.has_sent and entry.job.effect == "once":
                return TicketResult.interrupted(ticket, entry.job, self._dependencies.clock)
            mine.mark_unused()
            if isinstance(error, LeaseEnded):
                mine.waits.end_wait(WaitReason.STARVED_CPU, "the process stalled until its lease ended")
            else:
                mine.waits.end_wait(WaitReason.START_UP, str(error))
            _log.warning("could not finish run %s: %s; the run starts anew", ticket.id, error)
            return None
        if waits := mine.waits.explain(ticket, run):
            run = copy_with(run, waits=waits)
        return TicketResult.executed(run, ticket, entry.job, execution.traceback)
