"""Response models of heartbeats."""

from __future__ import annotations

from datetime import datetime

from jobs.heartbeat import HeartbeatState, Ping, PingSignal
from scheduler.features.heartbeats.queries import HeartbeatView
from scheduler.model_base import ResponseModel, example_values


class PingModel(ResponseModel):
    """A ping.

    `number`: its position among all pings, including those above the limit per minute, which are not stored.
    """

    model_config = example_values(number=31, exit_code=0, run="", source="203.0.113.7", agent="curl/8.16.0", body="")

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
    """The heartbeat of a job. `summary`: its state as a sentence. `down_at`: when it goes down without another ping.

    `secret`: name of the secret that contains the token. `last_start`: start of the current run. `duration_ms`: of the
    last run that reported its start. `pings`: the latest ones, newest first.
    """

    model_config = example_values(
        job="nightly-backup",
        secret="nightly-backup-token",
        state="up",
        summary="up: the last ping succeeded",
        exit_code=0,
        ping_count=31,
    )

    job: str
    secret: str
    state: HeartbeatState
    summary: str
    due_at: datetime | None
    down_at: datetime | None
    last_ping: datetime | None
    last_success: datetime | None
    last_fail: datetime | None
    last_start: datetime | None
    exit_code: int | None
    duration_ms: float | None
    ping_count: int
    pings: list[PingModel]

    @classmethod
    def from_view(cls, view: HeartbeatView) -> HeartbeatModel:
        beat = view.beat
        return cls(
            job=view.job,
            secret=view.secret,
            state=view.state,
            summary=view.summary,
            due_at=view.due_at,
            down_at=view.down_at,
            last_ping=beat.last_ping,
            last_success=beat.last_success,
            last_fail=beat.last_fail,
            last_start=beat.last_start,
            exit_code=beat.exit_code,
            duration_ms=None if beat.duration_s is None else round(beat.duration_s * 1000, 3),
            ping_count=beat.number,
            pings=[PingModel.from_ping(ping) for ping in view.pings],
        )
