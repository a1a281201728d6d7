"""How the heartbeat of a job is, for people: read by the API, the page and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.checks.heartbeat_sentences import sentence
from jobs.heartbeat import Beat, Ping, State, down_at, due_at, rhythm_of, state_at
from jobs.ports import Clock
from jobs.targets import HeartbeatTarget
from scheduler.beats import Beats
from scheduler.catalog import Catalog
from scheduler.operations.errors import Conflict
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.pauses import Pauses


@dataclass(frozen=True, slots=True)
class HeartbeatView:
    """`secret`: the name of its token. `down_at`: when it goes down unless a ping comes before."""

    job: str
    secret: str
    state: State
    text: str
    due_at: datetime | None
    down_at: datetime | None
    beat: Beat
    pings: Sequence[Ping] = ()


class HeartbeatViews:
    """All methods raise StoreError."""

    def __init__(self, catalog: Catalog, heartbeats: Heartbeats, beats: Beats, pauses: Pauses, clock: Clock) -> None:
        self._catalog = catalog
        self._heartbeats = heartbeats
        self._beats = beats
        self._pauses = pauses
        self._clock = clock

    async def view(self, job: str, pings: int = 0) -> HeartbeatView:
        """How it is now, with so many of its last pings, newest first.

        Raises:
            UnknownJob: no job has that name.
            Conflict: its check is no heartbeat.
        """
        target = self._catalog.get(job).job.check
        if not isinstance(target, HeartbeatTarget):
            raise Conflict(f"job {job} has no heartbeat: its check is of kind {target.kind}")
        beat, now, rhythm = await self._beats.beat(job), self._clock.now(), rhythm_of(target)
        if job in await self._pauses.active(now):
            beat = replace(beat, state=State.PAUSED)
        state = state_at(beat, rhythm, now)
        if state is not State.DOWN:
            state = state_at(beat, rhythm, now, with_started=True)
        return HeartbeatView(
            job,
            target.token.secret,
            state,
            sentence(beat, rhythm, now),
            due_at(beat, rhythm),
            down_at(beat, rhythm),
            beat,
            await self._heartbeats.pings(job, pings) if pings else (),
        )
