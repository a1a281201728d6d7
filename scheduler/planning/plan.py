"""One planning pass of both hosts: due instants become tickets, missed instants follow the catch-up policies.

Called by scheduler.hosts. No clock and no I/O: a pass only moves the due-heap. A ticket's id consists of its job and
instant, so planning twice has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from jobs.formats.instants import format_run_instant
from jobs.runs import Ticket
from jobs.schedules import Schedule, from_milliseconds, to_milliseconds
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.planning.catch_up import CatchUpDecision, decide_catch_up
from scheduler.planning.due_heap import DueHeap, DueInstant, DueInstants
from scheduler.planning.missed_span import MissedSpan

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
