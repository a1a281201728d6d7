"""What one tick hands on: due instants as tickets, missed ones by the catch-up policy. Called by both hosts' ticks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from jobs.runs import Ticket
from jobs.schedules import Schedule
from scheduler.catalog import Catalog, Entry
from scheduler.planning.catch_up import catch_up, latest
from scheduler.planning.heap import Due


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A job's missed instants from `first` to `last` that have no run: recorded as one skipped run, at the last."""

    entry: Entry
    first: datetime
    last: datetime

    @property
    def ticket(self) -> Ticket:
        return _ticket(self.entry, self.last)

    @property
    def reason(self) -> str:
        """The one sentence for all of them: a row for each would be many for a job of each second."""
        before = ""
        if self.last != self.first:
            before = f", like those before it since {self.first:%Y-%m-%d %H:%M:%S}Z that have no run"
        policy = self.entry.job.catch_up.policy
        return f"it fell due while no scheduler was running, or while it stood still{before} (catch_up: {policy})"

    def earlier(self) -> LeftOut | None:
        """The same without the last one, which turns out to have a run; None if it was the only one."""
        schedule = self.entry.job.schedule
        last = None if schedule is None else latest(schedule, self.first, self.last)
        return None if last is None else replace(self, last=last)


@dataclass(slots=True)
class Tick:
    """`on_time`: to be run at their instants. `late`: of one job each, to be run one after the other. `left_out`: to be
    recorded as skipped."""

    on_time: list[Ticket] = field(default_factory=list)
    late: list[tuple[Ticket, ...]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def in_turn(self) -> list[tuple[Ticket, ...]]:
        """All tickets to run, for a tick that plans no further than now: what a job catches up goes before the rest."""
        caught_up = {tickets[0].job: tickets for tickets in self.late}
        rest: dict[str, list[Ticket]] = {job: list(tickets) for job, tickets in caught_up.items()}
        for ticket in self.on_time:
            if ticket.job in caught_up:
                rest[ticket.job].append(ticket)
        others = [(ticket,) for ticket in self.on_time if ticket.job not in caught_up]
        return [*others, *(tuple(tickets) for tickets in rest.values())]


class Paused(Protocol):
    """A job's pause, as far as planning knows it."""

    def leaves_out(self, schedule: Schedule, at: datetime) -> bool:
        """Whether this due instant is not planned."""
        ...


def tick_of(
    catalog: Catalog,
    found: Iterable[Due],
    *,
    not_before: datetime,
    now: datetime,
    paused: Mapping[str, Paused] | None = None,
) -> Tick:
    """Tickets for what a due-heap gave. `not_before` as it was given to the heap; `paused`: the pauses now, by job."""
    tick = Tick()
    for due in found:
        entry = catalog.get(due.job)
        pause = paused.get(due.job) if paused else None
        if pause is not None and entry.job.schedule is not None and pause.leaves_out(entry.job.schedule, due.at):
            continue
        if due.missed:
            _add_missed(tick, entry, due.at, not_before, now)
        else:
            tick.on_time.append(_ticket(entry, due.at))
    return tick


def _add_missed(tick: Tick, entry: Entry, first: datetime, before: datetime, now: datetime) -> None:
    job = entry.job
    if job.schedule is None:
        return
    caught_up = catch_up(job.schedule, job.catch_up, first, before, now)
    if caught_up.run:
        tick.late.append(tuple(_ticket(entry, at) for at in caught_up.run))
    if caught_up.left_out is not None:
        tick.left_out.append(LeftOut(entry, first, caught_up.left_out))


def _ticket(entry: Entry, at: datetime) -> Ticket:
    return Ticket.scheduled(entry.job.name, at, entry.generation)
