"""The check of a heartbeat: reads the received pings, and reports a missing one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jobs.checks.dependencies import CheckDependencies
from jobs.checks.port import AttemptContext, Check, preload_run_ids
from jobs.errors import SecretUnavailable
from jobs.heartbeat import (
    HeartbeatRecord,
    HeartbeatState,
    PingSchedule,
    describe_heartbeat,
    due_at,
    ping_schedule_of,
    run_end_deadline,
    state_at,
)
from jobs.ports import Clock, HeartbeatSource, Secrets
from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Observation, split_run_id
from jobs.targets import HeartbeatTarget
from jobs.targets.heartbeat import SHORTEST_TOKEN


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> HeartbeatCheck:
    """Build the check. Called by jobs.checks."""
    pings, clock = dependencies.pings, dependencies.clock
    if pings is None or clock is None:
        raise KeyError("heartbeat")
    return HeartbeatCheck(pings, dependencies.secrets, clock, dependencies.redactor)


class HeartbeatCheck:
    """Sends nothing: what it observes is in the store already."""

    def __init__(self, pings: HeartbeatSource, secrets: Secrets, clock: Clock, redactor: Redactor) -> None:
        self._pings = pings
        self._secrets = secrets
        self._clock = clock
        self._redactor = redactor

    async def observe(self, target: HeartbeatTarget, call: AttemptContext) -> Observation:
        """Observe the heartbeat of the run's job. Raises what the store raises while it is unavailable."""
        job, _, _ = split_run_id(call.run_id)
        beat, now, rhythm = await self._pings.beat(job), self._clock.now(), ping_schedule_of(target)
        facts = heartbeat_facts(beat, rhythm, now)
        state = state_at(beat, rhythm, now)
        is_new = beat.state is HeartbeatState.NEW and beat.last_start is None
        if is_new and (trouble := await self._token_problem(target)):
            # Without a usable token no ping can arrive, and a heartbeat without pings may never be down.
            return Observation(call.clock.stop(), error=ErrorClass.SECRET_UNAVAILABLE, message=trouble, facts=facts)
        if state is HeartbeatState.NEW:
            return Observation(call.clock.stop(), facts=facts, pending=describe_heartbeat(beat, rhythm, now))
        if state is not HeartbeatState.DOWN:
            return Observation(call.clock.stop(), facts=facts)
        message = self._redactor.redact(describe_heartbeat(beat, rhythm, now))
        return Observation(call.clock.stop(), error=_error_class(beat, rhythm, now), message=message, facts=facts)

    def prepare(self, target: HeartbeatTarget) -> None:
        preload_run_ids()

    async def aclose(self) -> None:
        """Holds nothing."""

    async def _token_problem(self, target: HeartbeatTarget) -> str:
        """Return why no ping can be accepted; empty if one can."""
        try:
            token = await self._secrets.get_secret(target.token.secret)
        except SecretUnavailable as error:
            return f"No ping can be accepted: {error}".rstrip(".") + "."
        if len(token) < SHORTEST_TOKEN:
            return (
                f"No ping can be accepted: the secret {target.token.secret} is too short for a token, "
                f"which has at least {SHORTEST_TOKEN} characters."
            )
        return ""


def heartbeat_facts(beat: HeartbeatRecord, rhythm: PingSchedule, now: datetime) -> dict[str, Any]:
    """Return facts for expectations and history, as JSON."""
    state = state_at(beat, rhythm, now)
    if state is not HeartbeatState.DOWN:
        state = state_at(beat, rhythm, now, include_started=True)
    return {
        "state": str(state),
        "last_ping": _iso_text(beat.last_ping),
        "last_start": _iso_text(beat.last_start),
        "due": _iso_text(due_at(beat, rhythm)),
        "exit_code": beat.exit_code,
        "duration_s": beat.duration_s,
        "number": beat.number,
        "source": beat.source,
    }


def _error_class(beat: HeartbeatRecord, rhythm: PingSchedule, now: datetime) -> ErrorClass:
    """Return the class for a heartbeat that is down: a run without an end misses its ping, also after a failure."""
    ends = run_end_deadline(beat, rhythm)
    failed = beat.failed and (ends is None or now < ends)
    return ErrorClass.HEARTBEAT_FAILED if failed else ErrorClass.HEARTBEAT_MISSING


def _iso_text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
