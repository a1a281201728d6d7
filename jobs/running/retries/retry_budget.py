"""How many retries a process lets a target's host have, whatever the jobs' policies say. Called by execution.py.

A thousand jobs on a host that is down would each ask it three times, and keep it down. So the jobs of a host share
tokens, one for each retry: `per_minute` at first, and as many again evenly within each minute. Each first attempt earns
a share of a token on top. First attempts are never held back.

The tokens are shared fairly: each job that asks the host has its own part of them, which no other job can take, and one
token at least when it comes. What a job has no room for is for all: what first attempts earn is kept for a minute or
two. So jobs that fail all the time leave others their retries, and a job that is alone has all tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jobs.running.endpoint_hosts import host_of_endpoint

RETRIES_PER_MINUTE = 60.0
RETRY_SHARE = 0.2

_MINUTE = 60.0
_IDLE = 2 * _MINUTE
"""A job that has not asked for so long has no part any more."""
_MOST_HOSTS = 1000
"""Beyond that those are forgotten that were not asked for a minute: their buckets are full anyway."""
_ONE = 1 - 1e-9
"""A token, as sums of its parts may be a little less."""


@dataclass(slots=True)
class _Part:
    """The tokens of one job. `credited`: as much of the bucket's `credit` is in them."""

    tokens: float
    credited: float
    seen_at: float


@dataclass(slots=True)
class _Bucket:
    """The tokens of one host. All times are monotonic seconds."""

    per_minute: float
    common: float
    """For all jobs."""
    filled_at: float
    minute: float
    """When the minute of `earned` began."""
    earned: float = 0.0
    earned_before: float = 0.0
    """For all jobs too; in the minute before."""
    parts: dict[str, _Part] = field(default_factory=dict)
    owned: float = 0.0
    """The tokens of all parts together."""
    credit: float = 0.0
    """What each job was due since the bucket was made. A part gets it when its job asks: there may be a thousand."""

    def fill(self, now: float) -> None:
        gained = (now - self.filled_at) * self.per_minute / _MINUTE
        self.filled_at = now
        if self.parts:
            self.credit += gained / len(self.parts)
        else:
            self._leave(gained)
        if now - self.minute >= _MINUTE:
            self.earned_before = self.earned if now - self.minute < 2 * _MINUTE else 0.0
            self.earned, self.minute = 0.0, now
            self._forget_idle(now)

    def part(self, job: str, now: float) -> _Part:
        """The job's own tokens as of now."""
        part = self.parts.get(job)
        if part is None:
            part = self.parts[job] = self._new_part(now)
        due, part.credited, part.seen_at = self.credit - part.credited, self.credit, now
        self._leave(self.give(part, due))
        return part

    def give(self, part: _Part, tokens: float) -> float:
        """Add tokens to a part; returns those for which it has no room."""
        kept = min(part.tokens + tokens, self._most_of_a_part())
        left = part.tokens + tokens - kept
        self.owned += kept - part.tokens
        part.tokens = kept
        self.common = max(0.0, min(self.common, self.per_minute - self.owned))
        return left

    def take(self, part: _Part) -> bool:
        """Take one token: what is lost first is spent first."""
        if self.earned_before + self.earned + self.common + part.tokens < _ONE:
            return False
        left = 1.0
        for pool in ("earned_before", "earned", "common"):
            spent = min(getattr(self, pool), left)
            setattr(self, pool, getattr(self, pool) - spent)
            left -= spent
        own = min(left, part.tokens)
        part.tokens -= own
        self.owned -= own
        return True

    def _new_part(self, now: float) -> _Part:
        """With its share of what is there; with one token if others have taken that."""
        room = max(1.0, self.per_minute / (len(self.parts) + 1))
        if self.common < room:
            self._cut_parts(room)
        tokens = min(self.common, room)
        self.common -= tokens
        if self.per_minute >= 1:
            tokens = max(tokens, 1.0)
        self.owned += tokens
        return _Part(tokens, self.credit, now)

    def _cut_parts(self, most: float) -> None:
        """Let all have what the parts hold beyond that: there is one more job now."""
        for part in self.parts.values():
            if part.tokens > most:
                self.common += part.tokens - most
                self.owned -= part.tokens - most
                part.tokens = most

    def _most_of_a_part(self) -> float:
        return max(1.0, self.per_minute / len(self.parts)) if self.per_minute >= 1 else self.per_minute

    def _leave(self, tokens: float) -> None:
        """Let all jobs have these. There are never more than `per_minute` in all, however long nobody takes any."""
        self.common = max(self.common, min(self.common + tokens, self.per_minute - self.owned))

    def _forget_idle(self, now: float) -> None:
        for job, part in list(self.parts.items()):
            if now - part.seen_at > _IDLE:
                del self.parts[job]
                self.owned -= part.tokens
                self._leave(part.tokens + self.credit - part.credited)


class RetryBudget:
    """Not to be used by two threads at once."""

    def __init__(self, per_minute: float = RETRIES_PER_MINUTE, share: float = RETRY_SHARE) -> None:
        """`per_minute`: retries of all jobs of a host together; `share`: retries on top for each first attempt."""
        self.per_minute = per_minute
        self._share = share
        self._buckets: dict[str, _Bucket] = {}

    def record_first_attempt(self, endpoint: str, job: str, now: float) -> None:
        """A run of this job asks this endpoint. `now`: monotonic seconds."""
        bucket = self._bucket(endpoint, now)
        bucket.earned += bucket.give(bucket.part(job, now), self._share)

    def acquire_retry(self, endpoint: str, job: str, now: float) -> bool:
        """Whether there may be one more retry of this job; then it is counted. `now`: monotonic seconds."""
        bucket = self._bucket(endpoint, now)
        return bucket.take(bucket.part(job, now))

    def _bucket(self, endpoint: str, now: float) -> _Bucket:
        host = host_of_endpoint(endpoint)
        bucket = self._buckets.get(host)
        if bucket is None:
            self._forget_idle(now)
            bucket = self._buckets[host] = _Bucket(self.per_minute, self.per_minute, now, now)
        bucket.fill(now)
        return bucket

    def _forget_idle(self, now: float) -> None:
        if len(self._buckets) >= _MOST_HOSTS:
            self._buckets = {host: one for host, one in self._buckets.items() if now - one.filled_at < _MINUTE}
