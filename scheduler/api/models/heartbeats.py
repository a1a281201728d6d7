"""Response models of heartbeats."""

from __future__ import annotations

from datetime import datetime

from jobs.heartbeat import HeartbeatState, Ping, PingSignal
from scheduler.api.models.base import ResponseModel
from scheduler.queries.heartbeats import HeartbeatView


class PingModel(ResponseModel):
    """A ping. `number` counts all of them; those that were too many in a minute are counted, and not here."""

    number: int
    at: datetime
    signal: PingSignal
    exit_code: int | None
    run: str
    source: str
    agent: str
    body: str

    @classmethod
    def from_ping(cls, ping: Ping) -> PingModel:
        return cls(
            number=ping.number,
            at=ping.at,
            signal=ping.signal,
            exit_code=ping.exit_code,
            run=ping.run,
            source=ping.source,
            agent=ping.agent,
            body=ping.body,
        )


class HeartbeatModel(ResponseModel):
    """The heartbeat of a job. `text` says it in words; `down_at`: when it goes down unless a ping comes before.

    `secret` is the name of its token's secret. `last_start`: of a run that goes on. `duration_ms`: of the last run that
    told its start. `pings`: the last ones, newest first.
    """

    job: str
    secret: str
    state: HeartbeatState
    text: str
    due_at: datetime | None
    down_at: datetime | None
    last_ping: datetime | None
    last_success: datetime | None
    last_fail: datetime | None
    last_start: datetime | None
    exit_code: int | None
    duration_ms: float | None
    number: int
    pings: list[PingModel]

    @classmethod
    def from_view(cls, view: HeartbeatView) -> HeartbeatModel:
        beat = view.beat
        return cls(
            job=view.job,
            secret=view.secret,
            state=view.state,
            text=view.summary,
            due_at=view.due_at,
            down_at=view.down_at,
            last_ping=beat.last_ping,
            last_success=beat.last_success,
            last_fail=beat.last_fail,
            last_start=beat.last_start,
            exit_code=beat.exit_code,
            duration_ms=None if beat.duration_s is None else round(beat.duration_s * 1000, 3),
            number=beat.number,
            pings=[PingModel.from_ping(ping) for ping in view.pings],
        )
