"""What is known of a heartbeat: its pings, and what its job went through. Used by its check, by pinging and views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jobs.heartbeat import HeartbeatRecord
from jobs.ports import Clock
from jobs.targets import HeartbeatTarget
from scheduler.catalog.catalog import Catalog
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.pauses import Pauses
from scheduler.stores.schedule_activations import ScheduleActivations


class HeartbeatReader:
    """Implements jobs.ports.HeartbeatSource: what is remembered of the pings, with what is known of their job besides.

    All methods raise StoreError.
    """

    def __init__(
        self, catalog: Catalog, heartbeats: Heartbeats, pauses: Pauses, marks: ScheduleActivations, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._heartbeats = heartbeats
        self._pauses = pauses
        self._marks = marks
        self._clock = clock

    async def beat(self, job: str) -> HeartbeatRecord:
        return (await self.enricher(job))(await self._heartbeats.beat(job))

    async def enricher(self, job: str) -> Callable[[HeartbeatRecord], HeartbeatRecord]:
        """What adds to a beat the last pause of the job that is over, and since when it is there if that matters."""
        now = self._clock.now()
        await self._pauses.list_active(now)
        pause = self._pauses.find_ended(job, now)
        paused = None if pause is None or pause.until is None else (pause.since, pause.until)
        since = await self._marks.find_since(job) if self._awaits_first_ping(job) else None
        return lambda beat: replace(beat, paused=paused, known_since=since)

    def _awaits_first_ping(self, job: str) -> bool:
        entry = self._catalog.find_job(job)
        check = None if entry is None else entry.job.check
        return isinstance(check, HeartbeatTarget) and check.first_within is not None
