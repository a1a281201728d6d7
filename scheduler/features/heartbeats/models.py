"""The heartbeat of a job and its pings, as the API, the commands and the pages show them."""

from __future__ import annotations

from datetime import datetime

from jobs.heartbeat import HeartbeatState, PingSignal
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
