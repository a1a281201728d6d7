"""Receives the pings of heartbeat jobs. A ping that changes the state of a heartbeat starts a run at once.

Called by scheduler.api.routes.pings.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jobs.checks.binding.rules import UNRESTRICTED, Bindings
from jobs.definition import JobDefinition
from jobs.heartbeat import HeartbeatRecord, HeartbeatState, Ping, PingSchedule, PingSignal, ping_schedule_of, state_at
from jobs.ports import Clock, Secrets
from jobs.problems import make_printable
from jobs.redaction import Redactor
from jobs.targets import HeartbeatTarget
from scheduler.catalog.catalog import Catalog
from scheduler.dispatch.port import DispatchError
from scheduler.features.runs.service import RunStarter
from scheduler.identity.caller import PING_CALLER
from scheduler.operations.ping_tokens import PingTokens
from scheduler.queries.heartbeat_reader import HeartbeatReader
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.pauses import Pauses
from scheduler.stores.port import StoreError

MAX_PING_BODY = 10 * 1024
"""Characters of a ping's body that are stored."""
MAX_PING_AGENT = 100
MAX_PINGS_PER_MINUTE = 60
"""Pings of a job and signal that are stored in a minute; further ones are only counted. Each signal has its own limit,
so
that a storm of success pings hides no failure."""

_log = logging.getLogger("scheduler.queries.heartbeats")


@dataclass(frozen=True, slots=True)
class IncomingPing:
    """A ping as the sender sent it."""

    signal: PingSignal
    exit_code: int | None = None
    run: str = ""
    source: str = ""
    agent: str = ""
    body: str = ""


@dataclass(slots=True)
class _PingMinute:
    started_at: float
    stored: int = 0
    not_stored: int = 0


class PingReceiver:
    def __init__(
        self,
        catalog: Catalog,
        secrets: Secrets,
        heartbeats: Heartbeats,
        reader: HeartbeatReader,
        pauses: Pauses,
        starter: RunStarter,
        redactor: Redactor,
        clock: Clock,
        bindings: Bindings = UNRESTRICTED,
    ) -> None:
        self._catalog = catalog
        self._tokens = PingTokens(catalog, secrets, clock, bindings)
        self._heartbeats = heartbeats
        self._reader = reader
        self._pauses = pauses
        self._starter = starter
        self._redactor = redactor
        self._clock = clock
        self._minutes: dict[tuple[str, PingSignal], _PingMinute] = {}

    def token_errors(self) -> Mapping[str, str]:
        """Return the errors of tokens by the name of the secret."""
        return self._tokens.errors

    async def recheck_tokens(self) -> None:
        """Read tokens that had an error again."""
        await self._tokens.recheck()

    async def receive(self, token: str, ping: IncomingPing) -> bool:
        """Store a ping. Return False if the token is unknown.

        Raises:
            TokensUnavailable: the token is unknown, and some tokens could not be read.
            StoreError: the ping was not stored; the sender must retry.
        """
        jobs = await self._tokens.find_jobs(token)
        for name in jobs:
            if self._is_within_limit(name, ping.signal):
                await self._store(self._catalog.get_job(name).job, ping)
        return bool(jobs)

    def _is_within_limit(self, job: str, signal: PingSignal) -> bool:
        """Count a ping; return whether it is within the limit of this minute."""
        now = self._clock.monotonic()
        minute = self._minutes.get((job, signal))
        if minute is None or now - minute.started_at >= 60:
            minute = self._minutes[job, signal] = _PingMinute(now, not_stored=minute.not_stored if minute else 0)
        if minute.stored >= MAX_PINGS_PER_MINUTE:
            minute.not_stored += 1
            return False
        minute.stored += 1
        return True

    async def _store(self, job: JobDefinition, sent: IncomingPing) -> None:
        minute, now = self._minutes[job.name, sent.signal], self._clock.now()
        uncounted, minute.not_stored = minute.not_stored, 0
        body, agent = self._redact_body(sent.body), make_printable(self._redactor.redact(sent.agent), MAX_PING_AGENT)

        def ping(before: HeartbeatRecord) -> Ping:
            number = before.number + uncounted + 1
            return Ping(now, sent.signal, sent.exit_code, sent.run, sent.source, agent, body, number)

        try:
            seen = await self._reader.enricher(job.name)
            before, after = await self._heartbeats.add(job.name, ping, _rhythm_of_job(job), seen)
        except StoreError:
            minute.not_stored += uncounted
            raise
        if cause := _reason_to_run(job, before, after, now):
            await self._run_now(job, cause)

    def _redact_body(self, body: str) -> str:
        """Redact and truncate a body. The route reads only the start of a longer one."""
        return self._redactor.redact(body, cut=len(body) > MAX_PING_BODY)[:MAX_PING_BODY]

    async def _run_now(self, job: JobDefinition, reason: str) -> None:
        """Run the job now. If that fails, its next scheduled run evaluates the stored ping."""
        if not job.enabled or job.name in await self._pauses.list_active(self._clock.now()):
            return
        _log.info("heartbeat of job %s: %s", job.name, reason)
        try:
            await self._starter.run_now(job.name, caller=PING_CALLER)
        except (StoreError, DispatchError) as error:
            _log.warning("could not run job %s: %s; its next scheduled run evaluates the ping", job.name, error)


def _reason_to_run(job: JobDefinition, before: HeartbeatRecord, after: HeartbeatRecord, now: datetime) -> str:
    """Return why the job must run now; empty if its schedule suffices."""
    rhythm = _rhythm_of_job(job)
    if after.failed and not before.failed:
        return "a ping reported a failure" + ("" if after.exit_code is None else f", exit code {after.exit_code}")
    recovered = (
        state_at(before, rhythm, now) is HeartbeatState.DOWN and state_at(after, rhythm, now) is not HeartbeatState.DOWN
    )
    return "a success ping arrived while it was down" if recovered else ""


def _rhythm_of_job(job: JobDefinition) -> PingSchedule:
    assert isinstance(job.check, HeartbeatTarget)
    return ping_schedule_of(job.check)
