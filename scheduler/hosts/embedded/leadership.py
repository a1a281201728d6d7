"""Which of the processes that share a store leads: it alone plans, recovers, prunes and watches.

A process with a SQLite file leads for its whole life. With Azure Tables the leader renews a row
(scheduler.stores.leases), and the others watch it. A leader that could not renew it for VALID_FOR stops by itself;
after TAKEOVER_AFTER without a change another process leads. Both are measured by monotonic clocks, which continue
while a process is stopped: so clocks that differ do no harm, and a process that was suspended knows that it leads no
more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from jobs.ports import Clock
from scheduler.health import HealthStatus, PartHealth
from scheduler.hosts.embedded.recovery_sweep import has_died
from scheduler.stores.leases import LeaderRow
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.hosts.embedded.leadership")

RENEW_INTERVAL = 1.5
"""Seconds from the begin of a renewal to that of the next one, whatever it takes."""
WATCH_INTERVAL = 2.5
"""Seconds between two reads of the row by a process that stands by; less while the row is unchanged."""
VALID_FOR = 4.0
"""Seconds after the start of the last renewal for which the leader relies on it."""
TAKEOVER_AFTER = 5.0
"""Seconds without a change after which another process leads. More than VALID_FOR: the former one has stopped."""
STOPPED_FOR = 20.0
"""Seconds after a takeover in which another process acquires the runs of the former leader before their leases end. It
may be a process that was suspended, and that runs what people request when it continues."""
LEADER_PART = "leader"


class Leadership:
    """`row`: None for a process that leads alone. `owner`: of the claims of this process."""

    def __init__(self, row: LeaderRow | None, owner: str, clock: Clock) -> None:
        self._row = row
        self._owner = owner
        self._clock = clock
        self._changed = asyncio.Event()
        self._valid_until = float("inf") if row is None else float("-inf")
        self._etag: str | None = None
        self._leader = ""
        self._seen_at = float("-inf")
        """When the row was first read with its etag."""
        self._stopped: dict[str, float] = {}
        """The leaders that stopped without resigning, each until when that is relied on."""
        self._error: StoreError | None = None
        self.term = 0
        """How often this process took the lead. After a lapse without another leader the term continues."""

    @property
    def is_shared(self) -> bool:
        """Return whether other processes may use the store."""
        return self._row is not None

    @property
    def is_leading(self) -> bool:
        return self._clock.monotonic() < self._valid_until

    def has_died(self, owner: str) -> bool | None:
        """Return whether a process has died, or was stopped for so long that it lost the lead; None: unknown.

        In a shared store a process id is not enough: pods on one node may have equal host names and numbers.
        """
        if self._row is None:
            return has_died(owner)
        return True if self._clock.monotonic() < self._stopped.get(owner, 0.0) else None

    async def run(self) -> None:
        """Lead, or watch the leader, until cancelled."""
        while self._row is not None:
            began = self._clock.monotonic()
            await self.tick()
            if not self._is_fresh():
                await self._clock.sleep(RENEW_INTERVAL / 4)
            elif self.is_leading:
                await self._clock.sleep(max(0.0, began + RENEW_INTERVAL - self._clock.monotonic()))
            else:
                await self._clock.sleep(WATCH_INTERVAL)

    async def tick(self) -> None:
        """Renew the row, or read it and replace it if its owner has stopped. Logs errors of the store."""
        if self._row is None:
            return
        try:
            # A leader that was late renews as well: with a slow store, reading first would take longer than it leads.
            await self._renew(self._row) if self._leader == self._owner else await self._watch(self._row)
            self._error = None
        except StoreError as error:
            if self._error is None:
                _log.warning("could not renew or read the leader's row: %s; retrying", error)
            self._error = error
        self._changed.set()

    async def wait_until(self, *, leading: bool) -> None:
        """Return once this process leads, or does not lead any more."""
        while self.is_leading is not leading:
            self._changed.clear()
            left = self._valid_until - self._clock.monotonic()
            timer = asyncio.ensure_future(self._clock.sleep(left if left > 0 and left != float("inf") else 3600.0))
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait({timer, changed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
                changed.cancel()
                await asyncio.gather(timer, changed, return_exceptions=True)

    async def resign(self) -> None:
        """Let another process lead at once. Raises nothing of the store: then it waits for TAKEOVER_AFTER."""
        if self._row is None or self._leader != self._owner:
            return
        self._valid_until = float("-inf")
        try:
            await self._row.write("", self._etag)
        except StoreError as error:
            _log.warning("could not resign the lead: %s; another process leads in %g s", error, TAKEOVER_AFTER)

    async def health(self) -> Sequence[PartHealth]:
        """Return the part `leader` of a shared store: which process leads. Degraded while none does."""
        if self._row is None:
            return ()
        if self.is_leading:
            return (PartHealth(LEADER_PART, HealthStatus.OK, "this process leads"),)
        if self._leader and self._is_fresh():
            return (PartHealth(LEADER_PART, HealthStatus.OK, f"{self._leader} leads, this process stands by"),)
        return (PartHealth(LEADER_PART, HealthStatus.DEGRADED, "no process leads: one takes over within seconds"),)

    def _is_fresh(self) -> bool:
        return self._clock.monotonic() - self._seen_at < TAKEOVER_AFTER / 2

    async def _renew(self, row: LeaderRow) -> None:
        began, was_leading = self._clock.monotonic(), self.is_leading
        etag = await row.write(self._owner, self._etag)
        if etag is None:
            self._valid_until, self._leader = float("-inf"), ""
            _log.warning("another process took the lead: this one stands by")
            await self._watch(row)
        else:
            self._etag, self._seen_at, self._valid_until = etag, self._clock.monotonic(), began + VALID_FOR
            if not was_leading:
                _log.warning("this process leads again: it could not renew the leader's row for %g s", VALID_FOR)

    async def _watch(self, row: LeaderRow) -> None:
        began = self._clock.monotonic()
        found = await row.read()
        leader, etag = ("", None) if found is None else (found.value, found.etag)
        if etag != self._etag:
            self._leader, self._etag, self._seen_at = leader, etag, self._clock.monotonic()
        if leader not in ("", self._owner) and began - self._seen_at < TAKEOVER_AFTER:
            return
        wrote_at = self._clock.monotonic()
        etag = await row.write(self._owner, self._etag)
        if etag is None:
            return
        if leader != self._owner:
            self.term += 1
        if leader not in ("", self._owner):
            self._stopped = {leader: began + STOPPED_FOR}
        self._etag, self._seen_at, self._leader = etag, self._clock.monotonic(), self._owner
        self._valid_until = wrote_at + VALID_FOR
        _log.info("this process leads from now on%s", f": {leader} stopped" if leader else "")
