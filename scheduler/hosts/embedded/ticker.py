"""The embedded host's tick: submits due tickets a little early, so that they are claimed at their instants.

One due-heap for the life of the process. The loop starts at the cursor of the last process, saves the cursor, and
reports missing ticks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from jobs.formats import format_instant
from jobs.ports import Clock
from jobs.runs import Ticket
from jobs.schedules import Schedule, from_milliseconds
from scheduler.app import Program
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.health import HealthProbe, HealthStatus, PartHealth
from scheduler.planning.due_heap import DueHeap, DueInstant
from scheduler.planning.plan import MissedSpan, PausedJob, Plan, plan_due
from scheduler.stores.port import StoreError
from scheduler.stores.schedules import MAX_PLANNING_GAP, PLANNED_UNTIL_CURSOR
from scheduler.watchdog.watchdog import LastTick


class TicketReceiver(Protocol):
    """The worker as a ticker sees it. All methods return at once."""

    def submit(self, *tickets: Ticket) -> asyncio.Task[None] | None:
        """Execute the tickets in order. Returns the task, or None if the worker accepts no more tickets."""
        ...

    def submit_batch(self, tickets: Sequence[Ticket], claim_at: datetime | None = None) -> None:
        """Claim the tickets together, now or at `claim_at`, and execute each at its instant."""
        ...

    def submit_missed(self, missed: MissedSpan) -> None:
        """Record missed instants as one skipped run."""
        ...


_log = logging.getLogger("scheduler.hosts.embedded.ticker")

MAX_TICK_INTERVAL = 1.0
"""Seconds: a change of the wall clock is noticed within this time."""
ON_TIME_TOLERANCE = timedelta(seconds=10)
"""An instant that was due longer ago is missed: the job's catch-up policy applies. A short stall misses none."""
SUBMIT_AHEAD = timedelta(seconds=2)
"""How long before its instant a ticket is submitted at the earliest."""
MIN_TICK_INTERVAL = 0.5
"""Seconds between two ticks at least, so that tickets due meanwhile are claimed together."""
CLAIM_BATCH_SIZE = 50
"""Tickets that are claimed together at most: a millisecond or two of the event loop."""
MAX_BATCH_SPACING = timedelta(milliseconds=25)
"""Between the claims of two batches of one tick at most."""
CLAIM_NOW_WITHIN = timedelta(seconds=1)
"""Tickets due within it are claimed at once."""


@dataclass(frozen=True, slots=True)
class PlanningPace:
    """How far ahead and how often a host plans.

    `ahead`: how long before its instant a ticket is submitted at the earliest. `interval`: seconds between two ticks at
    least, `batch_size`: tickets that are claimed together at most. `on_time`: an instant that was due longer ago is
    missed. `cursor_interval`: seconds between two writes of the tick cursor.
    """

    ahead: timedelta = SUBMIT_AHEAD
    interval: float = MIN_TICK_INTERVAL
    batch_size: int = CLAIM_BATCH_SIZE
    on_time: timedelta = ON_TIME_TOLERANCE
    cursor_interval: float = 2.0


ALONE = PlanningPace()
AMONG_REPLICAS = PlanningPace(timedelta(seconds=8), 5.0, 200, timedelta(seconds=30), 5.0)
"""Each request of Azure Tables costs, so more is claimed together. Until another process leads, and by a clock that
differs, an instant may be 20 s late."""
MAX_CHANGES_PER_TICK = 100
"""New and changed schedules that one tick plans: a few milliseconds of the event loop."""
CLOCK_STEP_WARNING = timedelta(seconds=2)
"""A wall clock that is set back by more is logged; scheduler.planning.plan handles it."""


class Ticker:
    """Plans from `after` on, each job in `in_force_since` from its instant on.

    `after` None: from the earliest instant in `in_force_since`, or from now.
    """

    def __init__(
        self,
        catalog: Catalog,
        worker: TicketReceiver,
        clock: Clock,
        *,
        after: datetime | None = None,
        in_force_since: Mapping[str, datetime] | None = None,
        pauses_at: Callable[[datetime], Mapping[str, PausedJob]] | None = None,
        on_planned: Callable[[datetime, datetime, Plan], None] = lambda started_at, ended_at, plan: None,
        pace: PlanningPace = ALONE,
        is_leading: Callable[[], bool] = lambda: True,
    ) -> None:
        """`pauses_at` returns the pauses at an instant by job, without delay. `on_planned` is called with the start and
        the end of each tick, and with what it has submitted. `is_leading`: a tick of another process does nothing.
        """
        self._pace = pace
        self._is_leading = is_leading
        self._catalog = catalog
        self._view = catalog.snapshot
        self._worker = worker
        self._clock = clock
        self._pauses_at = pauses_at
        self._on_planned = on_planned
        self._last = self._steady_since = clock.now()
        self._repeated_span: tuple[datetime, datetime] | None = None
        """The span that was planned before the clock was set back: from, to."""
        if after is None:
            # The previous process may have died before it stored its cursor.
            after = min((in_force_since or {}).values(), default=self._last)
        # A stored instant in the future: the clock was set back since. Start from now.
        after = min(after, self._last)
        self._heap = DueHeap(self._view.schedules(), after, in_force_since)
        self._unplanned: dict[str, tuple[Schedule, datetime]] = {}
        """New and changed schedules that are not in the heap yet, each with the instant since which it is in force."""
        self._submitted_ahead: list[Ticket] = []
        """Submitted tickets that were not due at the last tick."""

    @property
    def last_tick(self) -> datetime:
        """The time of the last tick: all tickets due until then, and some later ones, are submitted."""
        # A crash must not lose instants of schedules that the next tick plans.
        return min((since for _, since in self._unplanned.values()), default=self._last)

    @property
    def has_unplanned_changes(self) -> bool:
        """Return whether another tick is needed at once, because many schedules have changed together."""
        return bool(self._unplanned)

    def repeated_until(self, now: datetime) -> datetime | None:
        """Return the end of a span that passes for the second time because the clock was set back; None otherwise.

        Instants that ran in its first pass do not run again.
        """
        if self._repeated_span is None or not self._repeated_span[0] <= now < self._repeated_span[1]:
            return None
        return self._repeated_span[1]

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            self.tick()
            await self._clock.sleep(self._sleep_seconds())

    def tick(self) -> None:
        """Submit all tickets that are due until a little after now, by the current jobs.

        Also called as soon as jobs are reloaded: new and changed schedules start then. See `has_unplanned_changes`.
        """
        if not self._is_leading():
            return
        now = self._clock.now()
        if now < self._last - CLOCK_STEP_WARNING:
            _log.warning("the wall clock was set back by %s", self._last - now)
            self._repeated_span, self._steady_since = (self._steady_since, self._last), now
        elif now > self._last + self._pace.on_time:
            self._steady_since = now  # no tick in between
        self._last = now
        paused = self._pauses_at(now) if self._pauses_at is not None else None
        newly_due = self._newly_due(now)
        plan = plan_due(
            self._view,
            self._heap,
            now,
            self._pace.ahead,
            still_on_time=self._pace.on_time,
            pauses=paused,
            extra=newly_due,
        )
        self._submitted_ahead = [*(ticket for ticket in self._submitted_ahead if ticket.due_at > now), *plan.on_time]
        batch = plan.on_time
        if plan.caught_up:
            in_order = plan.in_run_order()
            batch = [tickets[0] for tickets in in_order if len(tickets) == 1]
            for tickets in in_order:
                if len(tickets) > 1:
                    self._worker.submit(*tickets)
        self._submit_batches(batch, now)
        for missed in plan.missed:
            self._worker.submit_missed(missed)
        self._on_planned(now, self._clock.now(), plan)

    def _submit_batches(self, tickets: Sequence[Ticket], now: datetime) -> None:
        size = self._pace.batch_size
        batches = [tickets[start : start + size] for start in range(0, len(tickets), size)]
        apart = min(MAX_BATCH_SPACING, timedelta(seconds=self._pace.interval) / max(1, len(batches)))
        for number, batch in enumerate(batches):
            is_soon = min(ticket.due_at for ticket in batch) < now + CLAIM_NOW_WITHIN
            self._worker.submit_batch(batch, None if is_soon or not number else now + number * apart)

    def _newly_due(self, now: datetime) -> list[DueInstant]:
        """Plan by the current view. Returns the instants of new schedules before the position of the heap.

        An instant that was submitted for the previous schedule is the same run, and is not submitted again.
        """
        before, self._view = self._view, self._catalog.snapshot
        if self._view is not before:
            self._remove_changed(before, now)
        if not self._unplanned:
            return []
        some = dict(islice(self._unplanned.items(), MAX_CHANGES_PER_TICK))
        for job in some:
            del self._unplanned[job]
        since = {job: min(since, now) for job, (_, since) in some.items()}
        self._heap.replace_schedules({job: schedule for job, (schedule, _) in some.items()}, since)
        submitted = {ticket.id for ticket in self._submitted_ahead}
        due = [instant for job in some for instant in self._heap.due_after((job,), since[job])]
        return [(at, job) for at, job in due if Ticket.scheduled(job, from_milliseconds(at), "").id not in submitted]

    def _remove_changed(self, before: JobSnapshot, now: datetime) -> None:
        """Remove the schedules that have changed from the heap. The new ones are in force from now."""
        changed = self._view.changed_schedules(before)
        self._heap.replace_schedules(dict.fromkeys(changed), {})
        for job, schedule in changed.items():
            self._unplanned.pop(job, None)
            if schedule is not None:
                self._unplanned[job] = schedule, now

    def _sleep_seconds(self) -> float:
        if self._unplanned:
            return 0.0
        next_at = self._heap.next_at
        if next_at is None:
            return MAX_TICK_INTERVAL
        return min(
            max(MAX_TICK_INTERVAL, self._pace.interval),
            max(self._pace.interval, (next_at - self._pace.ahead - self._clock.now()).total_seconds()),
        )


CLOCK_SETBACK_TOLERANCE = timedelta(minutes=1)
"""A cursor that is ahead by more than this was written by a wrong clock; the next start would plan only from there."""
MAX_TICK_GAP = 5 * MAX_TICK_INTERVAL
"""Seconds without a tick after which health is down; longer by the interval of the pace."""


def pace_of(program: Program) -> PlanningPace:
    return AMONG_REPLICAS if program.has_replicas else ALONE


async def create_ticker(program: Program, is_leading: Callable[[], bool] = lambda: True) -> Ticker:
    """Create the ticker. It continues at the cursor of the last process, for schedules that have not changed since."""
    in_force_since = await program.repositories.schedule_activations.record_all(
        program.catalog.schedules(), program.clock.now()
    )
    planned_until = await program.repositories.cursors.read(PLANNED_UNTIL_CURSOR)
    now = program.clock.now()
    if not (program.has_replicas and planned_until is not None and abs(now - planned_until) < MAX_PLANNING_GAP):
        # With replicas another one has planned until a moment ago: for alerts, nothing has started.
        await program.repositories.cursors.record_start(now)
    await program.pauses.list_active(program.clock.now())
    program.worker.mark_ready()
    return Ticker(
        program.catalog,
        program.worker,
        program.clock,
        after=planned_until,
        in_force_since=in_force_since,
        pauses_at=program.pauses.list_cached,
        on_planned=program.telemetry.tick_planned,
        pace=pace_of(program),
        is_leading=is_leading,
    )


async def save_cursor_periodically(program: Program, ticker: Ticker) -> None:
    """Save the tick cursor periodically. Runs after the last saved cursor are known by their claims."""
    interval = pace_of(program).cursor_interval
    while True:
        slept_from = program.clock.now()
        await program.clock.sleep(interval)
        if program.clock.now() - slept_from > MAX_PLANNING_GAP:
            # The machine was suspended: for alerts, that is a start.
            with suppress(StoreError):
                await program.repositories.cursors.record_start(program.clock.now())
        await save_tick_cursor(program, ticker)
        # Read pauses of other processes (commands) here: the ticker itself never waits for the store.
        await program.pauses.list_active(program.clock.now())


async def save_tick_cursor(program: Program, ticker: Ticker) -> None:
    until = program.worker.persisted_until(ticker.last_tick)
    try:
        if await program.repositories.cursors.advance(PLANNED_UNTIL_CURSOR, until) - until > CLOCK_SETBACK_TOLERANCE:
            await program.repositories.cursors.rewind(PLANNED_UNTIL_CURSOR, until)
    except StoreError as error:
        _log.warning("could not save the tick cursor: %s; retrying in %g s", error, pace_of(program).cursor_interval)


def last_tick_reader(program: Program, find_ticker: Callable[[], Ticker | None]) -> LastTick:
    """Return a function that returns the last tick, also that of another process, which leads."""

    async def last_tick() -> datetime | None:
        if (ticker := find_ticker()) is not None:
            return ticker.last_tick
        return await program.repositories.cursors.read(PLANNED_UNTIL_CURSOR)

    return last_tick


def ticker_probe(program: Program, find_ticker: Callable[[], Ticker | None]) -> HealthProbe:
    async def probe() -> Sequence[PartHealth]:
        ticker = find_ticker()
        if ticker is None:
            return (PartHealth("ticker", HealthStatus.OK, "this process stands by"),)
        gap = (program.clock.now() - ticker.last_tick).total_seconds()
        if gap > MAX_TICK_GAP + pace_of(program).interval:
            return (
                PartHealth(
                    "ticker", HealthStatus.DOWN, f"no tick for {gap:.0f} s, so no job starts: restart the scheduler"
                ),
            )
        if (until := ticker.repeated_until(program.clock.now())) is not None:
            message = (
                f"the machine's clock was set back: runs before {format_instant(until)} are not repeated; "
                "check the machine's time synchronisation"
            )
            return (PartHealth("ticker", HealthStatus.DEGRADED, message),)
        return (PartHealth("ticker", HealthStatus.OK),)

    return probe
