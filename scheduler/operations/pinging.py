"""Taking the pings of heartbeats. What changes by one, for worse or better, is judged at once: people are told."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jobs.definition import JobDefinition
from jobs.heartbeat import Beat, Ping, Rhythm, Signal, State, rhythm_of, state_at
from jobs.ports import Clock, Secrets
from jobs.problems import printable
from jobs.redaction import Redactor
from jobs.targets import HeartbeatTarget
from scheduler.beats import Beats
from scheduler.catalog import Catalog
from scheduler.dispatch.port import DispatchError
from scheduler.operations.audit import Way
from scheduler.operations.ping_tokens import PingTokens
from scheduler.operations.running import Running
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.pauses import Pauses
from scheduler.stores.port import StoreError

LONGEST_BODY = 10 * 1024
"""Characters that are kept of what comes with a ping."""
LONGEST_AGENT = 100
PER_MINUTE = 60
"""Pings of a job and kind that are stored; more of them in the same minute are only counted. Each kind has its own
limit, so that a storm of good pings hides no failure."""

_log = logging.getLogger("scheduler.heartbeats")


@dataclass(frozen=True, slots=True)
class Sent:
    """A ping as it was sent."""

    signal: Signal
    exit_code: int | None = None
    run: str = ""
    source: str = ""
    agent: str = ""
    body: str = ""


@dataclass(slots=True)
class _Minute:
    began: float
    stored: int = 0
    counted: int = 0


class Pinging:
    def __init__(
        self,
        catalog: Catalog,
        secrets: Secrets,
        heartbeats: Heartbeats,
        beats: Beats,
        pauses: Pauses,
        running: Running,
        redactor: Redactor,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._tokens = PingTokens(catalog, secrets, clock)
        self._heartbeats = heartbeats
        self._beats = beats
        self._pauses = pauses
        self._running = running
        self._redactor = redactor
        self._clock = clock
        self._minutes: dict[tuple[str, Signal], _Minute] = {}

    def troubles(self) -> Mapping[str, str]:
        """Tokens that cannot be used now, by the secret's name, and why."""
        return self._tokens.troubles

    async def look(self) -> None:
        """See whether tokens that could not be used can be by now."""
        await self._tokens.look()

    async def take(self, token: str, sent: Sent) -> bool:
        """Store a ping; False if the token is nobody's.

        Raises:
            TokensUnavailable: the token is not known, and some could not be read.
            StoreError: it is not stored: send it again.
        """
        jobs = await self._tokens.jobs_of(token)
        for name in jobs:
            if self._is_stored(name, sent.signal):
                await self._store(self._catalog.get(name).job, sent)
        return bool(jobs)

    def _is_stored(self, job: str, signal: Signal) -> bool:
        """Whether it is not one too many of this minute."""
        now = self._clock.monotonic()
        minute = self._minutes.get((job, signal))
        if minute is None or now - minute.began >= 60:
            minute = self._minutes[job, signal] = _Minute(now, counted=minute.counted if minute else 0)
        if minute.stored >= PER_MINUTE:
            minute.counted += 1
            return False
        minute.stored += 1
        return True

    async def _store(self, job: JobDefinition, sent: Sent) -> None:
        minute, now = self._minutes[job.name, sent.signal], self._clock.now()
        uncounted, minute.counted = minute.counted, 0
        body, agent = self._clean(sent.body), printable(self._redactor.redact(sent.agent), LONGEST_AGENT)

        def ping(before: Beat) -> Ping:
            number = before.number + uncounted + 1
            return Ping(now, sent.signal, sent.exit_code, sent.run, sent.source, agent, body, number)

        try:
            seen = await self._beats.completing(job.name)
            before, after = await self._heartbeats.add(job.name, ping, _rhythm(job), seen)
        except StoreError:
            minute.counted += uncounted
            raise
        if cause := _cause(job, before, after, now):
            await self._judge(job, cause)

    def _clean(self, body: str) -> str:
        """Of a longer one only the begin was read."""
        return self._redactor.redact(body, cut=len(body) > LONGEST_BODY)[:LONGEST_BODY]

    async def _judge(self, job: JobDefinition, cause: str) -> None:
        """Run the job now. If that cannot be, its schedule does so soon: the ping is stored."""
        if not job.enabled or job.name in await self._pauses.active(self._clock.now()):
            return
        _log.info("heartbeat of job %s: %s", job.name, cause)
        try:
            await self._running.run_now(job.name, way=Way.PING)
        except (StoreError, DispatchError) as error:
            _log.warning("job %s is not run at once (%s): it is judged on its schedule", job.name, error)


def _cause(job: JobDefinition, before: Beat, after: Beat, now: datetime) -> str:
    """Why the job is to be judged at once; empty if that can wait."""
    rhythm = _rhythm(job)
    if after.failed and not before.failed:
        return "a ping told of a failure" + ("" if after.exit_code is None else f", exit code {after.exit_code}")
    recovered = state_at(before, rhythm, now) is State.DOWN and state_at(after, rhythm, now) is not State.DOWN
    return "a good ping came after it was down" if recovered else ""


def _rhythm(job: JobDefinition) -> Rhythm:
    assert isinstance(job.check, HeartbeatTarget)
    return rhythm_of(job.check)
