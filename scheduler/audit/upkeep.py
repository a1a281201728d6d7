"""Periodic work on the audit trail: publish its head, delete old entries. Called by both hosts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from jobs.ports import Clock
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.stores.audit import AuditLog
from scheduler.stores.port import StoreError
from scheduler.stores.schedules import Cursors

_log = logging.getLogger("scheduler.audit")

ANCHOR_INTERVAL = timedelta(hours=1)
ANCHOR_CURSOR = "audit-anchored-at"

PublishHead = Callable[[int, str, int], None]
"""Gets the number and the hash of the last entry, and how many entries are stored."""


class AuditUpkeep:
    def __init__(
        self,
        trail: StoredAuditTrail,
        log: AuditLog,
        cursors: Cursors,
        clock: Clock,
        publish_head: PublishHead,
        age_s: float,
    ) -> None:
        self._trail = trail
        self._entries = log
        self._cursors = cursors
        self._clock = clock
        self._publish_head = publish_head
        self._age_s = age_s
        self._anchored_at: datetime | None = None
        """What the cursor was at least, so that it is read rarely."""

    async def tick(self) -> None:
        """Store counted refusals; once an hour, by any process, publish the head and delete old entries."""
        await self._trail.flush_refusals()
        now = self._clock.now()
        if self._anchored_at is not None and now - self._anchored_at < ANCHOR_INTERVAL:
            return
        try:
            self._anchored_at = await self._cursors.read(ANCHOR_CURSOR)
            if self._anchored_at is not None and now - self._anchored_at < ANCHOR_INTERVAL:
                return
            await self.publish_head()
            self._anchored_at = await self._cursors.advance(ANCHOR_CURSOR, now)
            if number := await self._trail.prune(self._age_s):
                _log.info("deleted %d old entries of the audit trail", number)
        except StoreError as error:
            _log.warning("could not publish the head of the audit trail: %s; retrying in a minute", error)

    async def publish_head(self) -> None:
        """Publish the head. Raises StoreError."""
        head, first = await self._entries.read_head(), await self._entries.read_first_sequence()
        self._publish_head(head.sequence, head.hash, head.sequence - first + 1 if first else 0)

    async def finish(self) -> None:
        """Store all counted refusals and publish the head, because the program stops."""
        await self._trail.flush_refusals(all_windows=True)
        try:
            await self.publish_head()
        except StoreError as error:
            _log.warning("could not publish the head of the audit trail: %s", error)
