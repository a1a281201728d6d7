"""The gate of slots, for concurrency groups and for the limit over all jobs: a run waits for a slot for a limited time.

Within a process, runs acquire slots in the order of their due instants; between processes, the first request acquires a
free slot. A slot covers the longest time that its run may take, as a claim does, and is renewed meanwhile. So it
outlasts the run even if the store becomes unavailable. The slots of a process that died expire.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from jobs.formats import format_duration
from jobs.ports import Clock
from jobs.runs import Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates.gates import GateVerdict, Skip, Wait, Wakeups, next_check_at
from scheduler.gates.job_queue import WaitingQueue
from scheduler.leasing import RenewalTimer, lease_duration, required_lease
from scheduler.stores.slots import GroupFull, Slots

SLOT_RENEWAL_INTERVAL = 20.0
"""Seconds between two renewals of all held slots."""


class SlotLeases:
    def __init__(self, slots: Slots, clock: Clock) -> None:
        self._slots = slots
        self._clock = clock
        self._timer = RenewalTimer(SLOT_RENEWAL_INTERVAL, lambda: slots.needs_renewal, lambda: slots.renew(clock.now()))

    async def acquire(self, group: str, limit: int, ticket: Ticket, entry: CatalogJob) -> GroupFull | None:
        """Acquire a slot for the longest time that the run may take; None: acquired. Raises StoreUnavailable.

        If time passes before the run starts, acquire it again.
        """
        run_id, longest = ticket.id, entry.job.timeout.run
        now, lease, needed = self._clock.now(), lease_duration(longest), required_lease(longest)
        full = await self._slots.acquire(
            group, limit, run_id, now + lease, now, now + needed, claimed=_is_claimed_early(ticket, entry)
        )
        if full is not None:
            return full
        self._timer.start()
        # The answer may take so long that the rest of the lease is too short.
        return None if self._clock.now() + needed <= now + lease else GroupFull(())

    async def release(self, group: str, run_id: str) -> None:
        """Release the slot of the run, if it has one. Raises nothing."""
        await self._slots.release(group, run_id)


def _is_claimed_early(ticket: Ticket, entry: CatalogJob) -> bool:
    """Return whether such tickets are claimed before the gates. Others may wait in several processes at the same time,
    because a message may be delivered twice."""
    return ticket.trigger is Trigger.SCHEDULE and entry.job.effect == "repeatable"


LATE_ARRIVAL_AFTER = timedelta(seconds=60)
"""A run that arrives so long after its wait would have ended is a caught-up run: it waits from its arrival."""
DEFAULT_SLOT_WAIT = 30.0
"""Seconds for which a run without a concurrency group waits for a slot."""


@dataclass(frozen=True, slots=True)
class SlotGroup:
    """Runs that share slots. `name`: for reasons; `max_wait`: seconds; `subject`: see Wait."""

    partition: str
    limit: int
    max_wait: float
    name: str
    subject: str


SlotGroupOf = Callable[[CatalogJob], SlotGroup | None]


def concurrency_slot_group(entry: CatalogJob) -> SlotGroup | None:
    """Return the slot group of the job's concurrency group."""
    group = entry.job.concurrency_group
    if group is None:
        return None
    return _slot_group(group.name, group.limit, group.wait, entry.group_source)


@lru_cache(1024)
def _slot_group(group: str, limit: int, max_wait: float, source: str) -> SlotGroup:
    private = f"~{hashlib.sha256(source.encode()).hexdigest()[:12]}" if source else ""
    name = f"concurrency group {group} (limit: {limit})"
    return SlotGroup(f"group~{group}{private}", limit, max_wait, name, f"limit of concurrency group {group}")


def global_slot_group(max_running: int) -> SlotGroupOf:
    """Return how to find the slot group of all jobs."""

    def room_of(entry: CatalogJob) -> SlotGroup | None:
        group = entry.job.concurrency_group
        wait = DEFAULT_SLOT_WAIT if group is None else group.wait
        return SlotGroup(
            "running", max_running, wait, f"all jobs (max_running: {max_running})", f"max_running: {max_running}"
        )

    return room_of


class SlotGate:
    def __init__(self, slots: SlotLeases, clock: Clock, wakeups: Wakeups, group_of: SlotGroupOf) -> None:
        self._slots = slots
        self._clock = clock
        self._wakeups = wakeups
        self._group_of = group_of
        self._queues: dict[str, WaitingQueue] = {}

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        return self._group_of(entry) is not None

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        group = self._group_of(entry)
        assert group is not None, "the gate applies"
        now = self._clock.now()
        queue = self._queues.get(group.partition)
        if queue is None:
            queue = self._queues[group.partition] = WaitingQueue()
        since = queue.since.setdefault(ticket.id, now)
        queue.add_waiting(ticket)
        full = GroupFull(())
        if queue.first_waiting() == ticket.id:
            occupied = await self._slots.acquire(group.partition, group.limit, ticket, entry)
            if occupied is None:
                queue.remove_waiting(ticket.id)
                self._wake_next(group)
                return None
            full, now = occupied, self._clock.now()
        deadline = _deadline(ticket, group, since)
        if deadline is not None and now >= deadline:
            why = f"no slot of {group.name} was free within {format_duration(group.max_wait)}{_holders_note(full)}"
            return Skip(Reason(ReasonCode.NO_SLOT, why))
        until = next_check_at(since, now, is_first=queue.first_waiting() == ticket.id)
        reason = Reason(ReasonCode.NO_SLOT, f"no slot of {group.name} is free{_holders_note(full)}")
        return Wait(min(until, deadline or until), reason, group.subject)

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        group = self._group_of(entry)
        assert group is not None, "the gate applies"
        queue = self._queues.get(group.partition)
        if queue is not None:
            queue.remove_waiting(ticket.id)
        await self._slots.release(group.partition, ticket.id)
        self._wake_next(group)

    def _wake_next(self, group: SlotGroup) -> None:
        queue = self._queues.get(group.partition)
        if queue is None:
            return
        if first := queue.first_waiting():
            self._wakeups.wake(first)
        else:
            del self._queues[group.partition]


def _deadline(ticket: Ticket, group: SlotGroup, since: datetime) -> datetime | None:
    """Return the end of the wait; None: without limit, because a skipped replay would be lost."""
    if ticket.trigger.is_rerun:
        return None
    wait = timedelta(seconds=group.max_wait)
    # From its due instant, even if it was released and delivered again meanwhile.
    return ticket.due_at + wait if since <= ticket.due_at + wait + LATE_ARRIVAL_AFTER else since + wait


def _holders_note(full: GroupFull) -> str:
    if not full.holders:
        return ""
    first, *others = full.holders
    return f": run {first} holds it" if not others else f": run {first} and {len(others)} more hold them"
