"""Receives the pings of heartbeat jobs. A ping that changes the state of a heartbeat starts a run at once.

The tokens are secrets. This module stores and compares only their hashes, so the duration of a lookup reveals nothing
about a token. The previous token stays valid for a day after a rotation.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.checks.binding.rules import UNRESTRICTED, Bindings
from jobs.definition import JobDefinition
from jobs.errors import SecretUnavailable
from jobs.heartbeat import HeartbeatRecord, HeartbeatState, Ping, PingSchedule, PingSignal, ping_schedule_of, state_at
from jobs.ports import Clock, Secrets
from jobs.problems import make_printable
from jobs.redaction import Redactor
from jobs.targets import HeartbeatTarget
from jobs.targets.heartbeat import SHORTEST_TOKEN
from scheduler.catalog.catalog import Catalog, Operation
from scheduler.dispatch.port import DispatchError
from scheduler.features.heartbeats.queries import HeartbeatReader
from scheduler.features.runs.service import RunStarter
from scheduler.identity.principal import PING_CALLER
from scheduler.stores.gates import Pauses
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.port import StoreError

REREAD_AFTER_S = 60.0
"""Seconds until the secrets are read again, so that a revoked token expires."""
MIN_REREAD_PAUSE_S = 5.0
"""Minimum seconds between two reads that unknown tokens cause."""
OLD_TOKEN_LIFETIME_S = 86400.0
"""Seconds for which a token stays valid after a rotation."""
FORCED_READS_PER_MINUTE = 100
"""Reads that bypass the secret cache because of unknown tokens. The limit is global: anyone can send an unknown token
without a key, and each read can be a request to the vault."""

_log = logging.getLogger("scheduler.queries.heartbeats")


class TokensUnavailable(Exception):
    """A token is unknown, but some tokens could not be read, so it may be valid."""


class PingTokens(Operation):
    """Finds the jobs of a token by its hash, and reads the tokens again when they may have changed."""

    def __init__(self, catalog: Catalog, secrets: Secrets, clock: Clock, bindings: Bindings = UNRESTRICTED) -> None:
        self._catalog = catalog
        self._secrets = secrets
        self._bindings = bindings
        self._clock = clock
        self._names_by_digest: dict[bytes, dict[str, float]] = {}
        """The secrets that have or had the token with this hash, and until when it is valid."""
        self._current: dict[str, str] = {}
        self._read_at = float("-inf")
        self._errors: dict[str, str] = {}
        self._read_lock = asyncio.Lock()
        self._forced_read_order: list[str] = []
        """Secrets in the order of their last forced read, oldest first."""
        self._forced_reads: deque[float] = deque(maxlen=FORCED_READS_PER_MINUTE)
        """Times of forced reads."""

    @property
    def errors(self) -> Mapping[str, str]:
        """Errors by the name of the secret."""
        return self._errors

    async def find_jobs(self, token: str) -> Sequence[str]:
        """Return the jobs of this token; empty if it is unknown.

        Raises:
            TokensUnavailable: the token is unknown, and some tokens could not be read.
        """
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        if self._age() > REREAD_AFTER_S:
            await self._read(REREAD_AFTER_S)
        jobs = self._find_jobs(digest)
        if not jobs and self._age() > MIN_REREAD_PAUSE_S:
            await self._read(MIN_REREAD_PAUSE_S, force=True)
            jobs = self._find_jobs(digest)
        if not jobs and self._errors:
            raise TokensUnavailable
        return jobs

    async def recheck(self) -> None:
        """Read the tokens again if one had an error, as the next ping may be far off."""
        if self._errors:
            await self._read(MIN_REREAD_PAUSE_S)

    def _age(self) -> float:
        return self._clock.monotonic() - self._read_at

    def _find_jobs(self, digest: bytes) -> Sequence[str]:
        now = self._clock.monotonic()
        names = {name for name, until in self._names_by_digest.get(digest, {}).items() if now < until}
        return [job for name in names for job in self._jobs_by_secret().get(name, ())] if names else ()

    def _jobs_by_secret(self) -> Mapping[str, Sequence[str]]:
        """Return the names of current heartbeat jobs by the name of their secret, if its rule is for their tags."""
        jobs: defaultdict[str, list[str]] = defaultdict(list)
        for entry in self._catalog:
            check = entry.job.check
            if isinstance(check, HeartbeatTarget) and self._bindings.admits_tags(check.token.secret, entry.job.tags):
                jobs[check.token.secret].append(entry.job.name)
        return jobs

    async def _read(self, older_than: float, *, force: bool = False) -> None:
        async with self._read_lock:
            if self._age() <= older_than:
                return  # another task has read them meanwhile
            names = list(self._jobs_by_secret())
            if force:
                doubted = self._choose_forced_reads([name for name in names if name in self._current])
                await asyncio.gather(*(self._secrets.refresh_rejected(name, self._current[name]) for name in doubted))
            errors = await asyncio.gather(*map(self._read_token, names))
            self._errors = {name: error for name, error in zip(names, errors, strict=True) if error}
            self._current = {name: token for name, token in self._current.items() if name in names}
            self._remove_expired()
            self._read_at = self._clock.monotonic()

    def _choose_forced_reads(self, names: Sequence[str]) -> Sequence[str]:
        """Return the secrets to read past the cache now, oldest read first, and record the reads."""
        now = self._clock.monotonic()
        in_turn = [
            *(name for name in names if name not in self._forced_read_order),
            *(name for name in self._forced_read_order if name in names),
        ]
        count = FORCED_READS_PER_MINUTE - sum(now - at < 60 for at in self._forced_reads)
        chosen, self._forced_read_order = in_turn[:count], [*in_turn[count:], *in_turn[:count]]
        self._forced_reads.extend([now] * len(chosen))
        return chosen

    async def _read_token(self, name: str) -> str:
        """Read a token. Return the error, empty without one."""
        try:
            token = await self._secrets.get_secret(name)
        except SecretUnavailable as error:
            return str(error)
        if len(token) < SHORTEST_TOKEN:
            if name not in self._errors:
                _log.warning("could not use secret %s as a token: it is too short; its pings are rejected", name)
            return f"secret {name} is too short for a token: at least {SHORTEST_TOKEN} characters"
        now, before = self._clock.monotonic(), self._current.get(name)
        if before is not None and before != token:
            self._names_by_digest[_digest(before)][name] = now + OLD_TOKEN_LIFETIME_S
        self._current[name] = token
        self._names_by_digest.setdefault(_digest(token), {})[name] = float("inf")
        return ""

    def _remove_expired(self) -> None:
        now = self._clock.monotonic()
        for digest, names in list(self._names_by_digest.items()):
            valid = {name: until for name, until in names.items() if now < until}
            if valid:
                self._names_by_digest[digest] = valid
            else:
                del self._names_by_digest[digest]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


MAX_PING_BODY = 10 * 1024
"""Characters of a ping's body that are stored."""
MAX_PING_AGENT = 100
MAX_PINGS_PER_MINUTE = 60
"""Pings of a job and signal that are stored in a minute; further ones are only counted. Each signal has its own limit,
so that
a storm of success pings hides no failure."""


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


class PingReceiver(Operation):
    """Stores the pings of a token, and starts a run if one changes the state of the heartbeat."""

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
