"""Reads a heartbeat: its stored pings combined with the pauses and the activation of its job.

Called by the heartbeat check, scheduler.operations.pings and scheduler.queries.heartbeats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jobs.heartbeat import HeartbeatRecord
from jobs.ports import Clock
from jobs.targets import HeartbeatTarget
from scheduler.catalog.catalog import Catalog
from scheduler.stores.gates import Pauses
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.schedules import ScheduleActivations


class HeartbeatReader:
    """Implements jobs.ports.HeartbeatSource. All methods raise StoreError."""

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
        """Return a function that adds the job's last pause, and its activation while it awaits the first ping."""
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
