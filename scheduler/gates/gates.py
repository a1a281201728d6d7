"""All gates of a process, checked in order: the protocol of a gate, its verdicts, what wakes waiting tickets, and the
gates that hold nothing.

A gate wakes the tickets of this process that wait at it. Other processes wake no ticket here, so a waiting ticket is
also checked at intervals.

The gates of this module check the current definition, pauses, and dependencies on the newest runs of other jobs. Runs
that the job no longer has, scheduled runs of disabled jobs, and scheduled and dependent runs of paused jobs are
skipped. A scheduled run waits until its dependencies are met; a job without a schedule is started by
scheduler.dependencies instead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from jobs.definition.dependencies import Dependency
from jobs.formats import format_duration
from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.stores.gates import Pauses
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Runs


@dataclass(frozen=True, slots=True)
class Skip:
    """The ticket is recorded as skipped with this reason, whose message has no full stop.

    `cancelled_by`: the source of a cancellation, such as `by run ID`; the ticket is then recorded as cancelled.
    """

    reason: Reason
    cancelled_by: str = ""

    def __str__(self) -> str:
        return self.reason.message


@dataclass(frozen=True, slots=True)
class Wait:
    """The ticket cannot run yet: check it again at `retry_at`, or earlier. `reason`: the cause of the wait.

    `subject`: what it waits for, such as `dependency database`. It is stored with the run, so it is short and does not
    change from check to check.
    """

    retry_at: datetime
    reason: Reason
    subject: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.reason.message


GateVerdict = Skip | Wait | None
"""None: the ticket may run."""


class Gate(Protocol):
    """A condition that lets a ticket run, wait or be skipped.

    The worker calls `applies_to`, then `check` at the due instant and again while the verdict is Wait, and `release` at
    the end. A gate that admitted a ticket holds its resources while a later gate lets the ticket wait.
    """

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        """Return whether this gate applies to the ticket. Must be cheap, because every ticket is checked."""
        ...

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        """Return the verdict about a ticket. May be called again after the ticket was admitted.

        Raises:
            StoreError: the condition cannot be read now; the ticket waits.
        """
        ...

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """Release the resources of a ticket that neither waits nor runs here any more, admitted or not.

        May be called twice. Raises nothing.
        """
        ...


class StatelessGate(Gate):
    """A gate that holds nothing for a ticket."""

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """Nothing to release. Not called."""


MIN_RECHECK_BACKOFF, MAX_RECHECK_BACKOFF = timedelta(seconds=0.5), timedelta(seconds=2)
QUEUED_RECHECK_AFTER = timedelta(seconds=10)


def recheck_backoff(waited: timedelta, longest: timedelta = MAX_RECHECK_BACKOFF) -> timedelta:
    """Return the pause before the next check: a quarter of the time that the ticket has waited, within bounds."""
    return min(max(waited / 4, MIN_RECHECK_BACKOFF), longest)


def next_check_at(since: datetime, now: datetime, *, is_first: bool) -> datetime:
    """Return the instant of the next check of a ticket that waits since `since`.

    Only the first ticket of a queue can proceed; the others are woken when it is their turn.
    """
    return now + (recheck_backoff(now - since) if is_first else QUEUED_RECHECK_AFTER)


class Wakeups:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sleeping: dict[str, asyncio.Task[None]] = {}
        self._woken_early: set[str] = set()

    def wake(self, run_id: str) -> None:
        """End the wait of this ticket, or its next wait if it does not wait now."""
        task = self._sleeping.get(run_id)
        if task is None:
            self._woken_early.add(run_id)
        else:
            task.cancel()

    def clear(self, run_id: str) -> None:
        """Remove a wake-up that arrived after the wait of this ticket."""
        self._woken_early.discard(run_id)

    async def wait(self, run_id: str, seconds: float) -> None:
        """Wait until this ticket is woken, at most `seconds`."""
        if run_id in self._woken_early or seconds <= 0:
            self._woken_early.discard(run_id)
            return
        task = asyncio.ensure_future(self._clock.sleep(seconds))
        self._sleeping[run_id] = task
        try:
            await asyncio.wait((task,))
        finally:
            del self._sleeping[run_id]
            task.cancel()
        if not task.cancelled():
            task.result()


_log = logging.getLogger("scheduler.gates")

STORE_RETRY_AFTER = timedelta(seconds=2)
"""After which a gate that could not read the store is checked again."""


@dataclass(frozen=True, slots=True)
class _CurrentWait:
    """`since`: monotonic seconds."""

    reason: Reason
    since: float


class Gates:
    """Does not suspend for a ticket that every gate can judge at once."""

    def __init__(self, gates: Iterable[Gate], clock: Clock, wakeups: Wakeups | None = None) -> None:
        """`wakeups`: how the gates wake waiting tickets."""
        self._gates = tuple(gates)
        self._holding_gates = [gate for gate in self._gates if not isinstance(gate, StatelessGate)][::-1]
        self._clock = clock
        self._wakeups = wakeups or Wakeups(clock)
        self._waiting: dict[str, _CurrentWait] = {}
        self.on_waited: Callable[[ReasonCode, float], None] = lambda code, seconds: None
        """Called with the code of the reason and the seconds when a ticket does not wait for it any more."""

    @property
    def waiting(self) -> Mapping[str, str]:
        """The reasons of the tickets that wait in this process, by run id."""
        return {run: each.reason.message for run, each in self._waiting.items()}

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        """Return None to run the ticket, Skip to record it as skipped, or Wait to check it again at an instant.

        After Wait, call `wait` and check again. After None or Wait, call `release` at the end.
        """
        verdict: GateVerdict = None
        try:
            for gate in self._gates:
                if gate.applies_to(ticket, entry) and (verdict := await gate.check(ticket, entry)) is not None:
                    break
        except StoreError as error:
            why = f"the store is unavailable, so the gate cannot be checked: {error}"
            reason = Reason(ReasonCode.STORE_UNAVAILABLE, why)
            verdict = Wait(self._clock.now() + STORE_RETRY_AFTER, reason, "the store was unavailable")
        if isinstance(verdict, Wait):
            self._follow_wait(ticket, verdict.reason)
            return verdict
        if self._waiting:
            self._end_wait(ticket)
        if verdict is not None:
            await self.release(ticket, entry)
        return verdict

    async def wait(self, ticket: Ticket, wait: Wait, until: datetime | None = None) -> None:
        """Wait until the next check of this ticket: at the instant of the gate or `until`, whichever is earlier.

        A gate of this process ends the wait as soon as the ticket may proceed.
        """
        end = wait.retry_at if until is None else min(wait.retry_at, until)
        await self._wakeups.wait(ticket.id, (end - self._clock.now()).total_seconds())

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """Release what the gates hold for a ticket that neither waits nor runs here any more. Raises nothing."""
        if self._waiting:
            self._end_wait(ticket)
        self._wakeups.clear(ticket.id)
        for gate in self._holding_gates:
            if gate.applies_to(ticket, entry):
                await gate.release(ticket, entry)

    def _follow_wait(self, ticket: Ticket, reason: Reason) -> None:
        current = self._waiting.get(ticket.id)
        if current is None:
            _log.info("run %s waits: %s", ticket.id, reason)
        elif current.reason.code is not reason.code:
            self._end_wait(ticket)
            current = None
        since = self._clock.monotonic() if current is None else current.since
        self._waiting[ticket.id] = _CurrentWait(reason, since)

    def _end_wait(self, ticket: Ticket) -> None:
        ended = self._waiting.pop(ticket.id, None)
        if ended is not None:
            self.on_waited(ended.reason.code, self._clock.monotonic() - ended.since)


class DefinitionGate(StatelessGate):
    """A manual run is executed even if the job is disabled."""

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        # A replay runs by the current definition. Most tickets were planned by it, and need no check.
        is_its_own = entry.job.enabled and ticket.generation == entry.generation
        return not is_its_own and not ticket.trigger.is_rerun

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        if ticket.trigger is not Trigger.MANUAL and not entry.job.enabled:
            return Skip(Reason(ReasonCode.JOB_DISABLED, "the job is disabled"))
        if ticket.generation != entry.generation and not _includes(ticket, entry):
            why = "the job's new definition no longer includes this run"
            return Skip(Reason(ReasonCode.JOB_CHANGED, why))
        return None


def _includes(ticket: Ticket, entry: CatalogJob) -> bool:
    """Return whether the current definition has this run, which another definition planned."""
    match ticket.trigger:
        case Trigger.SCHEDULE:
            # An instant of both schedules is one run: planned again, it has the same id.
            return entry.is_due(ticket.due_at)
        case Trigger.DEPENDENCY:
            return entry.job.schedule is None and bool(entry.job.depends_on)
        case _:
            return True


class PauseGate(StatelessGate):
    def __init__(self, pauses: Pauses, clock: Clock) -> None:
        self._pauses = pauses
        self._clock = clock

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        # A manual run is executed even if the job is paused, so the store is not read.
        return ticket.trigger is not Trigger.MANUAL and not ticket.trigger.is_rerun

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        pause = (await self._pauses.list_active(self._clock.now())).get(ticket.job)
        return None if pause is None else Skip(Reason(ReasonCode.JOB_PAUSED, f"the job is {pause}"))


MAX_DEPENDENCY_BACKOFF = timedelta(seconds=5)
"""Between two checks of a run that waits."""


class DependencyGate(StatelessGate):
    def __init__(self, runs: Runs, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        # A manual run does not depend on other jobs.
        return bool(entry.job.depends_on) and ticket.trigger is Trigger.SCHEDULE

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        now = self._clock.now()
        depends_on = entry.job.depends_on
        reasons = await asyncio.gather(*(self._unmet_reason(dependency, now) for dependency in depends_on))
        unmet = [(one, reason) for one, reason in zip(depends_on, reasons, strict=True) if reason is not None]
        if not unmet:
            return None
        ends = [(ticket.due_at + timedelta(seconds=one.wait), one, reason) for one, reason in unmet]
        until, dependency, reason = min(ends, key=lambda end: end[0])
        if until <= now:
            waited = f"; it waited {format_duration(dependency.wait)} for that" if dependency.wait else ""
            return Skip(Reason(ReasonCode.DEPENDENCY, reason + waited))
        pause = recheck_backoff(now - ticket.due_at, MAX_DEPENDENCY_BACKOFF)
        return Wait(min(until, now + pause), Reason(ReasonCode.DEPENDENCY, reason), f"dependency {dependency.job}")

    async def _unmet_reason(self, dependency: Dependency, now: datetime) -> str | None:
        record = await self._runs.find_latest(dependency.job, fresh=True)
        return dependency.explain_unmet(None if record is None else record.run, now)
