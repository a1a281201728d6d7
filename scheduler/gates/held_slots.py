"""The slots that this process's tickets hold, kept as long as they do. Used by the gates that take some.

A slot is taken for a minute and renewed well before that is over, so a process that dies blocks nobody for longer.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import timedelta

from jobs.ports import Clock
from scheduler.stores.slots import Full, Slots

LEASE = timedelta(seconds=60)
RENEWED_EVERY = 20.0
"""Seconds between two renewals of all slots that are held."""


class HeldSlots:
    def __init__(self, slots: Slots, clock: Clock) -> None:
        self._slots = slots
        self._clock = clock
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        """The groups of which each run holds a slot."""
        self._timer: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def acquire(self, group: str, limit: int, run_id: str) -> Full | None:
        """A slot for the run, until it is released; None: it has one. May be asked again. Raises StoreUnavailable."""
        now = self._clock.now()
        full = await self._slots.acquire(group, limit, run_id, now + LEASE, now)
        if full is not None:
            return full
        if self._clock.now() >= now + LEASE:
            # The answer took so long that somebody else may have it by now.
            return Full(())
        self._held[run_id].add(group)
        self._renew_later()
        return None

    async def release(self, group: str, run_id: str) -> None:
        """The run needs its slot no more; nothing happens if it has none. Raises nothing."""
        if run_id in self._held:
            self._held[run_id].discard(group)
            if not self._held[run_id]:
                del self._held[run_id]
        await self._slots.release(group, run_id)

    def _renew_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RENEWED_EVERY, self._renew)

    def _renew(self) -> None:
        self._timer = None
        if not self._held and not self._slots.has_stuck:
            return
        self._renew_later()
        if self._renewing is None or self._renewing.done():
            until = self._clock.now() + LEASE
            self._renewing = asyncio.get_running_loop().create_task(self._slots.renew(set(self._held), until))
