"""What is known of a heartbeat: its pings, and what its job went through. Used by its check, by pinging and views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jobs.heartbeat import Beat
from jobs.ports import Clock
from jobs.targets import HeartbeatTarget
from scheduler.catalog import Catalog
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.pauses import Pauses
from scheduler.stores.schedule_marks import ScheduleMarks


class Beats:
    """Implements jobs.ports.Pings: what is remembered of the pings, with what is known of their job besides.

    All methods raise StoreError.
    """

    def __init__(
        self, catalog: Catalog, heartbeats: Heartbeats, pauses: Pauses, marks: ScheduleMarks, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._heartbeats = heartbeats
        self._pauses = pauses
        self._marks = marks
        self._clock = clock

    async def beat(self, job: str) -> Beat:
        return (await self.completing(job))(await self._heartbeats.beat(job))

    async def completing(self, job: str) -> Callable[[Beat], Beat]:
        """What adds to a beat the last pause of the job that is over, and since when it is there if that matters."""
        now = self._clock.now()
        await self._pauses.active(now)
        pause = self._pauses.over(job, now)
        paused = None if pause is None or pause.until is None else (pause.since, pause.until)
        since = await self._marks.since(job) if self._waits_for_the_first(job) else None
        return lambda beat: replace(beat, paused=paused, known_since=since)

    def _waits_for_the_first(self, job: str) -> bool:
        entry = self._catalog.find(job)
        check = None if entry is None else entry.job.check
        return isinstance(check, HeartbeatTarget) and check.first_within is not None
