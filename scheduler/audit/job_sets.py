"""Records the sets of job files, each once for all processes, also those that changed while no process ran.

Created by scheduler.app.reloader_setup, called by scheduler.catalog.reloading.
"""

from __future__ import annotations

from dataclasses import replace

from scheduler.audit.trail import AuditedChange, ChangeRecorder
from scheduler.identity.caller import Caller
from scheduler.stores.audit import RecordedJobSet


class JobSetRecorder:
    """Implements ChangeRecorder for changes whose `object_id` is the digest of a set."""

    def __init__(self, trail: ChangeRecorder, recorded: RecordedJobSet) -> None:
        self._trail = trail
        self._recorded = recorded

    async def record(self, caller: Caller, change: AuditedChange) -> int:
        """Record the change, unless the set is the one that was recorded last; return 0 then. Raises StoreError.

        A crash before the set is marked as recorded records it again.
        """
        before = await self._recorded.read()
        if before == change.object_id:
            return 0
        number = await self._trail.record(caller, replace(change, before={"digest": before or None}))
        await self._recorded.write(change.object_id)
        return number
