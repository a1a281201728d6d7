"""What a job's runs in other processes mean for one here. Used by the overlap gate of hosts that are not alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from scheduler.catalog import Entry
from scheduler.gates.held_slots import HeldSlots
from scheduler.gates.lines import Place
from scheduler.gates.open_runs import OpenRuns
from scheduler.stores.cancellations import Cancellations
from scheduler.stores.claims import OpenRun
from scheduler.stores.run_keys import RunKey
from scheduler.stores.runs import Runs

RECORDED_WITHIN = timedelta(seconds=4)
"""A run that is over may be open in the store for so long: its end is recorded together with that of others."""
REMEMBERED = 60.0
"""Seconds for which a run that ended here is known as over, whatever the store says."""


@dataclass(frozen=True, slots=True)
class RunsElsewhere:
    """Oldest first. `going`: claimed and due before; `queued`: due before, and nobody is at it; `newer`: claimed and
    due later. `settles_at`: until then those that go on may be over already."""

    going: tuple[str, ...] = ()
    queued: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()
    settles_at: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.going or self.queued or self.newer)


class Elsewhere:
    """All methods raise StoreUnavailable, but those that say otherwise."""

    def __init__(self, runs: Runs, slots: HeldSlots, cancellations: Cancellations, clock: Clock) -> None:
        self._runs = runs
        self._open = OpenRuns(runs, clock)
        self._slots = slots
        self._cancellations = cancellations
        self._clock = clock
        self._over: dict[str, float] = {}
        self._told: dict[str, set[str]] = {}
        """Whose end each run has asked for."""
        self._shown: set[str] = set()

    async def look(self, ticket: Ticket, entry: Entry, here: Collection[str]) -> RunsElsewhere:
        """Other processes' open runs of the job that count for this one. `here`: runs that this process knows itself.

        Where a run is skipped at the most, keys that are some seconds old may say that nothing is in the way: what
        was claimed since then is due later.
        """
        job = entry.job
        if job.overlap == "skip" and job.effect == "repeatable":
            keys = await self._open.recent_keys(job.name)
            if not any(self._may_count(key, ticket, here) for key in keys):
                return RunsElsewhere()
        return self._count(await self._open.fresh(job.name), ticket, entry, here)

    async def enter(self, ticket: Ticket, entry: Entry) -> str | None:
        """Take the job's turn, which one run has at a time; or the id of the run that has it ("": unknown)."""
        full = await self._slots.acquire(_turn(ticket.job), 1, ticket, entry)
        return None if full is None else next(iter(full.holders), "")

    async def cancel(self, ticket: Ticket, run_ids: Iterable[str], asked: str) -> None:
        """Ask the processes that are at these runs to end them, once."""
        told = self._told.setdefault(ticket.id, set())
        for run_id in run_ids:
            if run_id not in told:
                await self._cancellations.ask(run_id, asked, self._clock.now())
                told.add(run_id)

    async def show(self, ticket: Ticket, entry: Entry) -> None:
        """Let other processes see that the run waits, if it is not claimed before it may begin: it is queued then."""
        if entry.job.effect == "once" and ticket.trigger is Trigger.SCHEDULE and ticket.id not in self._shown:
            await self._runs.enqueue(ticket)
            self._shown.add(ticket.id)

    async def leave(self, ticket: Ticket, *, was_inside: bool) -> None:
        """Raises nothing."""
        self._told.pop(ticket.id, None)
        self._shown.discard(ticket.id)
        if was_inside:
            now = self._clock.monotonic()
            self._over = {run_id: at for run_id, at in self._over.items() if now - at < REMEMBERED}
            self._over[ticket.id] = now
        await self._slots.release(_turn(ticket.job), ticket.id)

    def _may_count(self, key: RunKey, ticket: Ticket, here: Collection[str]) -> bool:
        """Whether the body of this open run has to be read."""
        if key.due_at > self._clock.now():
            return False
        run_id = key.run_id
        return run_id != ticket.id and run_id not in here and run_id not in self._over

    def _count(self, found: Iterable[OpenRun], ticket: Ticket, entry: Entry, here: Collection[str]) -> RunsElsewhere:
        now, place = self._clock.now(), Place.of(ticket)
        going: list[Place] = []
        queued: list[Place] = []
        newer: list[Place] = []
        for run in found:
            other = Place(run.due_at, run.run_id)
            # One that is claimed ahead of a later instant has not begun.
            if run.run_id == ticket.id or run.run_id in here or run.due_at > now:
                continue
            if run.lease_until is None:
                queued += [other] if other < place else []
            elif run.run_id not in self._over and run.lease_until is not None and run.lease_until > now:
                (going if other < place or _may_go_on(other, ticket, entry, now) else newer).append(other)
        settles_at = max((one.due_at for one in going), default=None)
        return RunsElsewhere(_ids(going), _ids(queued), _ids(newer), settles_at and settles_at + RECORDED_WITHIN)


def _may_go_on(other: Place, ticket: Ticket, entry: Entry, now: datetime) -> bool:
    """Whether a replay waits for one that was due after it. If that one is open for longer than it may run, it waits
    for the replay."""
    if not ticket.trigger.is_rerun or entry.job.overlap != "skip":
        return False
    return now < other.due_at + timedelta(seconds=entry.job.timeout.run) + RECORDED_WITHIN


def _ids(places: list[Place]) -> tuple[str, ...]:
    return tuple(place.run_id for place in sorted(places))


def _turn(job: str) -> str:
    return f"overlap~{job}"
