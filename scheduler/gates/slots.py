"""Concurrency groups and the limit over all jobs: a run needs a slot, and waits for one, but not for ever.

Who waits in this process takes its turn by due instant; between processes, whoever looks first gets a free slot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.durations import format_duration
from jobs.ports import Clock
from jobs.runs import Ticket
from scheduler.catalog import Entry
from scheduler.gates.calls import Calls, next_look
from scheduler.gates.held_slots import HeldSlots
from scheduler.gates.lines import Place
from scheduler.gates.port import Skip, Verdict, Wait
from scheduler.stores.slots import Full

ON_TIME = timedelta(seconds=60)
"""A run that comes later than this after its patience would have ended waits from when it comes: it is caught up."""
USUAL_WAIT = 30.0
"""Seconds that a run without a group waits for a slot."""


@dataclass(frozen=True, slots=True)
class Room:
    """Runs that share slots. `name`: as reasons say it; `wait`: seconds of patience."""

    partition: str
    limit: int
    wait: float
    name: str


RoomOf = Callable[[Entry], Room | None]


def group_room(entry: Entry) -> Room | None:
    """That of the job's concurrency group."""
    group = entry.job.concurrency_group
    if group is None:
        return None
    name = f"concurrency group {group.name} (limit: {group.limit})"
    return Room(f"group~{group.name}", group.limit, group.wait, name)


def room_of_all(max_running: int | None) -> RoomOf:
    """That of all jobs together."""

    def room_of(entry: Entry) -> Room | None:
        if max_running is None:
            return None
        group = entry.job.concurrency_group
        wait = USUAL_WAIT if group is None else group.wait
        return Room("running", max_running, wait, f"all jobs (max_running: {max_running})")

    return room_of


@dataclass(slots=True)
class _Line:
    """Who waits here for a slot of a room, and since when."""

    waiting: dict[str, Place] = field(default_factory=dict)
    since: dict[str, datetime] = field(default_factory=dict)

    def in_order(self) -> list[str]:
        return [place.run_id for place in sorted(self.waiting.values())]

    def leave(self, run_id: str) -> None:
        self.waiting.pop(run_id, None)
        self.since.pop(run_id, None)


class SlotGate:
    def __init__(self, slots: HeldSlots, clock: Clock, calls: Calls, room_of: RoomOf) -> None:
        self._slots = slots
        self._clock = clock
        self._calls = calls
        self._room_of = room_of
        self._lines: dict[str, _Line] = {}

    def concerns(self, ticket: Ticket, entry: Entry) -> bool:
        return self._room_of(entry) is not None

    async def ask(self, ticket: Ticket, entry: Entry) -> Verdict:
        room = self._room_of(entry)
        assert room is not None, "it is concerned"
        now = self._clock.now()
        line = self._lines.setdefault(room.partition, _Line())
        since = line.since.setdefault(ticket.id, now)
        line.waiting[ticket.id] = Place.of(ticket)
        full = Full(())
        if line.in_order()[0] == ticket.id:
            taken = await self._slots.acquire(room.partition, room.limit, ticket, entry)
            if taken is None:
                line.leave(ticket.id)
                self._call_next(room)
                return None
            full, now = taken, self._clock.now()
        deadline = _deadline(ticket, room, since)
        if deadline is not None and now >= deadline:
            return Skip(f"no slot of {room.name} was free within {format_duration(room.wait)}{_held_by(full)}")
        until = next_look(since, now, is_first=line.in_order()[0] == ticket.id)
        return Wait(min(until, deadline or until), f"no slot of {room.name} is free{_held_by(full)}")

    async def leave(self, ticket: Ticket, entry: Entry) -> None:
        room = self._room_of(entry)
        assert room is not None, "it is concerned"
        line = self._lines.get(room.partition)
        if line is not None:
            line.leave(ticket.id)
        await self._slots.release(room.partition, ticket.id)
        self._call_next(room)

    def _call_next(self, room: Room) -> None:
        line = self._lines.get(room.partition)
        if line is None:
            return
        if line.waiting:
            self._calls.call(line.in_order()[0])
        else:
            del self._lines[room.partition]


def _deadline(ticket: Ticket, room: Room, since: datetime) -> datetime | None:
    """When its patience ends; None: never, as a replay that is left out would be lost."""
    if ticket.trigger.is_rerun:
        return None
    wait = timedelta(seconds=room.wait)
    # From its due instant, however often it was put back and came again meanwhile.
    return ticket.due_at + wait if since <= ticket.due_at + wait + ON_TIME else since + wait


def _held_by(full: Full) -> str:
    if not full.holders:
        return ""
    first, *others = full.holders
    return f": run {first} has it" if not others else f": run {first} and {len(others)} more have them"
