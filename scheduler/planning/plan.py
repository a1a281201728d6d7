"""One planning pass of both hosts: due instants become tickets, missed instants follow the catch-up policies.

No clock and no I/O: a pass only moves the due-heap. A ticket's id consists of its job and instant, so planning twice
has no effect. An instant is missed if no tick planned it in time: the process was down, or stalled. Those that do not
run are one record, which the worker writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from jobs.formats import format_instant, format_run_instant
from jobs.policies import CatchUp
from jobs.runs import Ticket
from jobs.runs.outcomes import Reason, ReasonCode
from jobs.schedules import Schedule, from_milliseconds, to_milliseconds
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.planning.due_heap import DueHeap, DueInstant, DueInstants

MAX_CAUGHT_UP_RUNS = 1000
"""Runs that one job catches up at a time; of more missed instants, the newest run."""

_MICROSECOND = timedelta(microseconds=1)
_FIRST_LOOKBACK = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class CatchUpDecision:
    """`run`: missed instants that run now, oldest first. `last_missed`: the last instant that does not run."""

    run: tuple[datetime, ...] = ()
    last_missed: datetime | None = None


def decide_catch_up(
    schedule: Schedule,
    policy: CatchUp,
    first: datetime,
    before: datetime,
    now: datetime,
    on_time: datetime | None = None,
) -> CatchUpDecision:
    """Decide about the missed instants of a job: `first`, and all later ones before `before`.

    `on_time`: the latest instant until now, if it is not missed and will run. With policy `last` this run replaces the
    missed runs: all instants before `on_time` are skipped, missed or not.
    """
    if policy.policy == "last" and on_time is not None:
        return CatchUpDecision((), latest_instant(schedule, first, on_time))
    window = max(first, now - timedelta(seconds=policy.within))
    run: tuple[datetime, ...] = ()
    if policy.policy == "last" and (last := latest_instant(schedule, window, before)) is not None:
        run = (last,)
    elif policy.policy == "all":
        run = _newest_instants(schedule, window, before)
    return CatchUpDecision(run, latest_instant(schedule, first, run[0] if run else before))


def _newest_instants(schedule: Schedule, since: datetime, before: datetime) -> tuple[datetime, ...]:
    """Return the newest instants in [since, before), oldest first."""
    found: deque[datetime] = deque(maxlen=MAX_CAUGHT_UP_RUNS)
    at = schedule.next_after(since - _MICROSECOND)
    while at is not None and at < before:
        found.append(at)
        at = schedule.next_after(at)
    return tuple(found)


def latest_instant(schedule: Schedule, since: datetime, before: datetime) -> datetime | None:
    """Return the latest instant in [since, before).

    The search goes back in steps that double, so days of a job that is due each second are not walked through.
    """
    back = _FIRST_LOOKBACK
    while True:
        start = max(since, before - back)
        if start >= before:
            return None
        at = schedule.next_after(start - _MICROSECOND)
        if at is not None and at < before:
            return _last_before(schedule, at, before)
        if start == since:
            return None
        back *= 2


def _last_before(schedule: Schedule, at: datetime, before: datetime) -> datetime:
    while (following := schedule.next_after(at)) is not None and following < before:
        at = following
    return at


NO_SCHEDULER_CAUSE = Reason(
    ReasonCode.MISSED, "it was due while no scheduler was running, or while the scheduler stalled"
)


@dataclass(frozen=True, slots=True)
class MissedSpan:
    """A job's instants from `first` to `last` without a run, recorded as one skipped run at the last.

    `cause`: why; its message is the start of the message of the record.
    """

    entry: CatalogJob
    first: datetime
    last: datetime
    cause: Reason = NO_SCHEDULER_CAUSE

    @property
    def ticket(self) -> Ticket:
        return Ticket.scheduled(self.entry.job.name, self.last, self.entry.generation)

    @property
    def reason(self) -> Reason:
        """One sentence for all instants: a job of each second would need too many rows."""
        before = ""
        if self.last != self.first:
            before = f", as were the instants without a run since {format_instant(self.first)}"
        policy = f" (catch_up: {self.entry.job.catch_up.policy})" if self.cause.code is ReasonCode.MISSED else ""
        return Reason(self.cause.code, f"{self.cause}{before}{policy}")

    def without_last(self) -> MissedSpan | None:
        """Return the span without its last instant, which has a run; None if it was the only one."""
        schedule = self.entry.job.schedule
        last = None if schedule is None else latest_instant(schedule, self.first, self.last)
        return None if last is None else replace(self, last=last)


_EPOCH = from_milliseconds(0)
# perf: planner, 50 % of a tick with 10,000 tickets: their instants combine few seconds with these parts, as texts too
_MILLISECONDS = tuple(timedelta(milliseconds=part) for part in range(1000))
_MILLISECOND_SUFFIXES = tuple(format_run_instant(_EPOCH + part)[-5:] for part in _MILLISECONDS)


class PausedJob(Protocol):
    """A job's pause, as planning uses it."""

    def excludes(self, schedule: Schedule, at: datetime) -> bool:
        """Return whether this instant is not planned."""
        ...


@dataclass(slots=True)
class Plan:
    """The result of a pass."""

    until: datetime
    """The start of the next pass: all instants until then are in this plan or an earlier one."""
    on_time: list[Ticket] = field(default_factory=list)
    """Tickets to run at their instants, ordered by instant."""
    caught_up: list[tuple[Ticket, ...]] = field(default_factory=list)
    """Caught-up tickets: each tuple is of one job, to run in order."""
    missed: list[MissedSpan] = field(default_factory=list)
    """Missed instants to record as skipped."""

    @property
    def ticket_count(self) -> int:
        """The number of tickets, those of caught-up runs included."""
        return len(self.on_time) + sum(map(len, self.caught_up))

    def in_run_order(self) -> list[tuple[Ticket, ...]]:
        """Return all tickets of a tick that plans until now: caught-up runs of a job come before its others."""
        caught_up = {tickets[0].job: tickets for tickets in self.caught_up}
        rest: dict[str, list[Ticket]] = {job: list(tickets) for job, tickets in caught_up.items()}
        for ticket in self.on_time:
            if ticket.job in caught_up:
                rest[ticket.job].append(ticket)
        others = [(ticket,) for ticket in self.on_time if ticket.job not in caught_up]
        return [*others, *(tuple(tickets) for tickets in rest.values())]


def plan_due(
    jobs: Catalog | JobSnapshot,
    heap: DueHeap,
    now: datetime,
    horizon: timedelta = timedelta(),
    *,
    still_on_time: timedelta,
    pauses: Mapping[str, PausedJob] | None = None,
    extra: Sequence[DueInstant] = (),
) -> Plan:
    """Plan all instants from the position of `heap` until `now + horizon`, and move the heap there.

    `still_on_time`: an instant that was due longer ago is missed. `pauses`: the pauses now, by job. `extra`: further
    instants, of jobs that came into force since the last pass.

    If the clock was set forward, instants are missed, and are caught up or skipped. If it was set back by at most
    `still_on_time`, all instants until then were planned. If it was set back by more, planning restarts just before
    `now`, because some instants were missed only by the wrong clock.
    """
    until, not_before = now + horizon, now - still_on_time
    if heap.position > until + still_on_time:
        heap.move_to(not_before, now)
    due = heap.pop_until(until, not_before=not_before)
    if extra:
        _add_extra(due, extra, to_milliseconds(not_before))
    made = Plan(heap.position)
    pauses = pauses or {}
    last_on_time = _last_on_time(jobs, due, now, pauses)
    if last_on_time:
        due.on_time[:] = [(at, job) for at, job in due.on_time if at >= last_on_time.get(job, at)]
    _add_missed(made, jobs, due.missed, not_before, now, pauses, last_on_time)
    _add_on_time(made, jobs, due.on_time, pauses)
    return made


def _add_extra(due: DueInstants, also: Sequence[DueInstant], on_time_from: int) -> None:
    """Add further instants; of missed ones, only the first of each job."""
    missed = {job: at for at, job in due.missed}
    for at, job in also:
        if at >= on_time_from:
            due.on_time.append((at, job))
        else:
            missed[job] = min(at, missed.get(job, at))
    due.on_time.sort()
    due.missed[:] = [(at, job) for job, at in missed.items()]


def _last_on_time(
    jobs: Catalog | JobSnapshot, due: DueInstants, now: datetime, paused: Mapping[str, PausedJob]
) -> dict[str, int]:
    """Return the latest instant until now that is on time, in milliseconds, of each job that catches up with one run.

    It contains only jobs that missed an instant: other jobs run all instants on time.
    """
    catching_up = {job for _, job in due.missed if jobs.get_job(job).job.catch_up.policy == "last"}
    if not catching_up:
        return {}
    found: dict[str, int] = {}
    last = to_milliseconds(now)
    for at, job in due.on_time:
        if at > last:
            break
        if job in catching_up and not (
            job in paused and _excludes(paused[job], jobs.get_job(job), from_milliseconds(at))
        ):
            found[job] = at
    return found


def _add_on_time(
    made: Plan, jobs: Catalog | JobSnapshot, due: list[DueInstant], paused: Mapping[str, PausedJob]
) -> None:
    add, generations, ticket = made.on_time.append, jobs.generations, Ticket.stamped
    second, whole, stamp = 0, _EPOCH, ""
    for instant, job in due:
        part = instant - second
        if not (stamp and part < 1000):
            second, part = instant // 1000 * 1000, instant % 1000
            whole = from_milliseconds(second)
            stamp = format_run_instant(whole)[:-5]
        at = whole + _MILLISECONDS[part]
        if not (paused and job in paused and _excludes(paused[job], jobs.get_job(job), at)):
            add(ticket(job, at, stamp + _MILLISECOND_SUFFIXES[part], generations[job]))


def _add_missed(
    made: Plan,
    jobs: Catalog | JobSnapshot,
    due: list[DueInstant],
    before: datetime,
    now: datetime,
    paused: Mapping[str, PausedJob],
    last_on_time: Mapping[str, int],
) -> None:
    # Thousands of jobs that share schedule and policy share the decision.
    decided: dict[tuple[Schedule, str, float, int, int | None], CatchUpDecision] = {}
    for instant, job in due:
        entry, first = jobs.get_job(job), from_milliseconds(instant)
        schedule, policy = entry.job.schedule, entry.job.catch_up
        if schedule is None or (job in paused and _excludes(paused[job], entry, first)):
            continue
        current = last_on_time.get(job)
        key = (schedule, policy.policy, policy.within, instant, current)
        if key not in decided:
            on_time = None if current is None else from_milliseconds(current)
            decided[key] = decide_catch_up(schedule, policy, first, before, now, on_time)
        _add_caught_up(made, entry, first, decided[key])


def _excludes(pause: PausedJob, entry: CatalogJob, at: datetime) -> bool:
    return entry.job.schedule is not None and pause.excludes(entry.job.schedule, at)


def _add_caught_up(made: Plan, entry: CatalogJob, first: datetime, caught_up: CatchUpDecision) -> None:
    if caught_up.run:
        name, generation = entry.job.name, entry.generation
        made.caught_up.append(tuple(Ticket.scheduled(name, at, generation) for at in caught_up.run))
    if caught_up.last_missed is not None:
        made.missed.append(MissedSpan(entry, first, caught_up.last_missed))
