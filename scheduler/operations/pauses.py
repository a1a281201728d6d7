"""Pauses and resumes a job. A paused job has no scheduled runs; a user can still start one.

Called by scheduler.api and the commands.
"""

from __future__ import annotations

from datetime import datetime

from jobs.ports import Clock
from scheduler.audit.change_log import log_change
from scheduler.catalog.catalog import Catalog
from scheduler.identity.caller import ChangeSource
from scheduler.operations.arguments import check_end, check_reason
from scheduler.stores.pauses import Pause, Pauses


class JobPauser:
    def __init__(self, catalog: Catalog, pauses: Pauses, clock: Clock) -> None:
        self._catalog = catalog
        self._pauses = pauses
        self._clock = clock

    async def pause(self, name: str, *, until: datetime | None = None, reason: str = "", source: ChangeSource) -> Pause:
        """Pause a job until an instant or a resume. A job that is already paused gets the new end and reason.

        Raises:
            UnknownJob: no job has that name.
            InvalidArgument: `until` is in the past, or the reason is too long.
            StoreError: nothing was changed.
        """
        self._catalog.get_job(name)
        check_reason(reason)
        now = self._clock.now()
        check_end(until, now)
        before = (await self._pauses.list_active(now, fresh=True)).get(name)
        pause = Pause(name, now if before is None else before.since, until, reason)
        await self._pauses.set_pause(pause)
        log_change(f"job {name} was {pause}", source)
        return pause

    async def resume(self, name: str, *, source: ChangeSource) -> bool:
        """End the pause. Return False if the job was not paused.

        Raises:
            UnknownJob: no job has that name.
            StoreError: nothing was changed.
        """
        self._catalog.get_job(name)
        now = self._clock.now()
        paused = name in await self._pauses.list_active(now, fresh=True)
        await self._pauses.resume(name, now)
        if paused:
            log_change(f"job {name} was resumed", source)
        return paused
