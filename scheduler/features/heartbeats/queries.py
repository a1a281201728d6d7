"""Reads the heartbeat of a job, and its state.

A heartbeat is the stored pings of a job, combined with its pauses and its activation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jobs.heartbeat import (
    HeartbeatRecord,
    HeartbeatState,
    describe_heartbeat,
    down_at,
    due_at,
    ping_schedule_of,
    state_at,
)
from jobs.ports import Clock
from jobs.targets import HeartbeatTarget
from scheduler.catalog.catalog import Catalog, Query
from scheduler.errors import Conflict
from scheduler.features.heartbeats.models import HeartbeatModel, PingModel
from scheduler.stores.gates import Pauses
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.schedules import ScheduleActivations


class HeartbeatReader(Query):
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


class HeartbeatQueries(Query):
    """All methods raise StoreError."""

    def __init__(
        self, catalog: Catalog, heartbeats: Heartbeats, reader: HeartbeatReader, pauses: Pauses, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._heartbeats = heartbeats
        self._reader = reader
        self._pauses = pauses
        self._clock = clock

    async def view_heartbeat(self, job: str, ping_limit: int = 0) -> HeartbeatModel:
        """Return the current state with up to `ping_limit` of the last pings, newest first.

        Raises:
            UnknownJob: no job has that name.
            Conflict: the check of the job is not a heartbeat.
        """
        target = self._catalog.get_job(job).job.check
        if not isinstance(target, HeartbeatTarget):
            raise Conflict(f"job {job} has no heartbeat: its check is of kind {target.kind}, not heartbeat")
        beat, now, rhythm = await self._reader.beat(job), self._clock.now(), ping_schedule_of(target)
        if job in await self._pauses.list_active(now):
            beat = replace(beat, state=HeartbeatState.PAUSED)
        state = state_at(beat, rhythm, now)
        if state is not HeartbeatState.DOWN:
            state = state_at(beat, rhythm, now, include_started=True)
        pings = await self._heartbeats.list_pings(job, ping_limit) if ping_limit else ()
        return HeartbeatModel.from_object(
            beat,
            job=job,
            secret=target.token.secret,
            state=state,
            summary=describe_heartbeat(beat, rhythm, now),
            due_at=due_at(beat, rhythm),
            down_at=down_at(beat, rhythm),
            duration_ms=None if beat.duration_s is None else round(beat.duration_s * 1000, 3),
            ping_count=beat.number,
            pings=[PingModel.from_object(ping) for ping in pings],
        )
