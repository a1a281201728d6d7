"""A retry budget per host and process, in addition to the jobs' retry policies, and messages about retries not made.

Without it, a thousand jobs of an unavailable host would each retry three times and keep it overloaded. All jobs of a
host share a budget of tokens, one per retry: `per_minute` at the start, refilled evenly with as many per minute. Each
first attempt adds a fraction of a token. First attempts are never limited.

The budget is fair: each job of the host has its own share, which other jobs cannot use, with at least one token when
the job is new. Tokens beyond a job's share go to a common pool; those earned by first attempts expire after one to two
minutes. So jobs that fail permanently do not use up the retries of others, and a single job has all tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.checks.clock import host_and_endpoint
from jobs.formats import describe_seconds as seconds


def describe_no_time_left(wait_s: float, retry_after_s: float | None, left_s: float) -> str:
    """Explain that the wait exceeds the rest of the run's time."""
    left = f"only {seconds(left_s)} of the run's time are left"
    if retry_after_s is not None and retry_after_s >= wait_s:
        return f"Not retried: the target requested a wait of {seconds(retry_after_s)}, {left}."
    return f"Not retried: the next attempt would start in {seconds(wait_s)}, {left}."


def describe_exhausted_budget(endpoint: str, per_minute: float) -> str:
    """Explain that the retry budget is exhausted."""
    host = host_with_port(endpoint)
    return f"Not retried: the retry budget of {host} is exhausted ({per_minute:g} a minute for all jobs)."


def host_with_port(endpoint: str) -> str:
    """Return the endpoint's host with its port."""
    return host_and_endpoint(endpoint)[1]


RETRIES_PER_MINUTE = 60.0
RETRY_SHARE = 0.2

_MINUTE = 60.0
_IDLE = 2 * _MINUTE
"""A job without a request for this long has no share any more."""
_MAX_HOSTS = 1000
"""Above this number, hosts without a request in the last minute are removed: their buckets are full again."""
_ONE = 1 - 1e-9
"""One token, with tolerance for rounding of sums."""


@dataclass(slots=True)
class _Part:
    """The tokens of one job. `credited`: how much of the bucket's `credit` the tokens include."""

    tokens: float
    credited: float
    seen_at: float


@dataclass(slots=True)
class _Bucket:
    """The tokens of one host. All times are monotonic seconds."""

    per_minute: float
    common: float
    """Tokens in the common pool."""
    filled_at: float
    minute: float
    """Start of the minute of `earned`."""
    earned: float = 0.0
    earned_before: float = 0.0
    """Common tokens earned in the previous minute."""
    parts: dict[str, _Part] = field(default_factory=dict)
    owned: float = 0.0
    """Sum of the tokens of all parts."""
    credit: float = 0.0
    """Tokens due to each job since the bucket was created; a part receives them at its next use."""

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
        """Return the job's share, up to date."""
        part = self.parts.get(job)
        if part is None:
            part = self.parts[job] = self._new_part(now)
        due, part.credited, part.seen_at = self.credit - part.credited, self.credit, now
        self._leave(self.give(part, due))
        return part

    def give(self, part: _Part, tokens: float) -> float:
        """Add tokens to a share; return those beyond its limit."""
        new_tokens = min(part.tokens + tokens, self._most_of_a_part())
        left = part.tokens + tokens - new_tokens
        self.owned += new_tokens - part.tokens
        part.tokens = new_tokens
        self.common = max(0.0, min(self.common, self.per_minute - self.owned))
        return left

    def take(self, part: _Part) -> bool:
        """Spend one token, starting with those that expire first. Return whether one was available."""
        if self.earned_before + self.earned + self.common + part.tokens < _ONE:
            return False
        missing = 1.0
        for pool in ("earned_before", "earned", "common"):
            spent = min(getattr(self, pool), missing)
            setattr(self, pool, getattr(self, pool) - spent)
            missing -= spent
        own = min(missing, part.tokens)
        part.tokens -= own
        self.owned -= own
        return True

    def count_left(self) -> float:
        """Return all tokens but the earned ones. Credit that the shares have not received yet is included."""
        return self.common + self.owned + sum(self.credit - part.credited for part in self.parts.values())

    def _new_part(self, now: float) -> _Part:
        """Create a share from the common pool, with at least one token."""
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
        """Move tokens above `most` from each share to the common pool, because a job was added."""
        for part in self.parts.values():
            if part.tokens > most:
                self.common += part.tokens - most
                self.owned -= part.tokens - most
                part.tokens = most

    def _most_of_a_part(self) -> float:
        return max(1.0, self.per_minute / len(self.parts)) if self.per_minute >= 1 else self.per_minute

    def _leave(self, tokens: float) -> None:
        """Add tokens to the common pool; all tokens together never exceed `per_minute`."""
        self.common = max(self.common, min(self.common + tokens, self.per_minute - self.owned))

    def _forget_idle(self, now: float) -> None:
        for job, part in list(self.parts.items()):
            if now - part.seen_at > _IDLE:
                del self.parts[job]
                self.owned -= part.tokens
                self._leave(part.tokens + self.credit - part.credited)


class RetryBudget:
    """The retry budgets of all hosts of a process. Not thread-safe."""

    def __init__(self, per_minute: float = RETRIES_PER_MINUTE, share: float = RETRY_SHARE) -> None:
        """`per_minute`: retries of all jobs of a host; `share`: additional retries per first attempt."""
        self.per_minute = per_minute
        self._share = share
        self._buckets: dict[str, _Bucket] = {}
        self.on_denied: Callable[[], None] = lambda: None
        """Called for each retry that the budget does not allow."""

    def record_first_attempt(self, endpoint: str, job: str, now: float) -> None:
        """Record a first attempt of this job at this endpoint. `now`: monotonic seconds."""
        bucket = self._bucket(endpoint, now)
        bucket.earned += bucket.give(bucket.part(job, now), self._share)

    def acquire_retry(self, endpoint: str, job: str, now: float) -> bool:
        """Acquire one retry for this job; return whether the budget allows it. `now`: monotonic seconds."""
        bucket = self._bucket(endpoint, now)
        is_allowed = bucket.take(bucket.part(job, now))
        if not is_allowed:
            self.on_denied()
        return is_allowed

    def find_use(self, now: float) -> float:
        """Return the share of the budget in use, from 0 to 1, of the host with the least left.

        Tokens that first attempts have earned are not counted: they come in addition. `now`: monotonic seconds.
        """
        if self.per_minute <= 0 or not self._buckets:
            return 0.0
        for bucket in self._buckets.values():
            bucket.fill(now)
        return max(1 - min(1.0, bucket.count_left() / self.per_minute) for bucket in self._buckets.values())

    def _bucket(self, endpoint: str, now: float) -> _Bucket:
        host = host_with_port(endpoint)
        bucket = self._buckets.get(host)
        if bucket is None:
            self._forget_idle(now)
            bucket = self._buckets[host] = _Bucket(self.per_minute, self.per_minute, now, now)
        bucket.fill(now)
        return bucket

    def _forget_idle(self, now: float) -> None:
        if len(self._buckets) >= _MAX_HOSTS:
            self._buckets = {host: one for host, one in self._buckets.items() if now - one.filled_at < _MINUTE}
