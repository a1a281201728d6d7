"""How many retries a process lets a target's host have, whatever the jobs' policies say. Called by execution.py.

A thousand jobs on a host that is down would each ask it three times, and keep it down. So the jobs of a host share a
bucket of tokens, one for each retry: it is full at first (`per_minute` tokens) and fills up evenly within a minute.
Each first attempt earns a share of a token on top, good for a minute or two. First attempts are never held back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from jobs.running.sentences import host_of

PER_MINUTE = 60.0
SHARE = 0.2

_MINUTE = 60.0
_MOST_HOSTS = 1000
"""Beyond that those are forgotten that were not asked for a minute: their buckets are full anyway."""


_HOST_BEGINS = len("https://")

_host_of = lru_cache(_MOST_HOSTS)(host_of)


@dataclass(slots=True)
class _Bucket:
    """All times are monotonic seconds."""

    tokens: float
    filled_at: float
    minute: float
    """When the minute of `earned` began."""
    earned: float = 0.0
    earned_before: float = 0.0
    """In the minute before."""

    def fill(self, now: float, per_minute: float) -> None:
        self.tokens = min(self.tokens + (now - self.filled_at) * per_minute / _MINUTE, per_minute)
        self.filled_at = now
        if now - self.minute >= _MINUTE:
            self.earned_before = self.earned if now - self.minute < 2 * _MINUTE else 0.0
            self.earned, self.minute = 0.0, now

    def take(self) -> bool:
        if self.tokens + self.earned_before + self.earned < 1:
            return False
        # What is lost first is spent first.
        left = 1.0
        for pool in ("earned_before", "earned", "tokens"):
            spent = min(getattr(self, pool), left)
            setattr(self, pool, getattr(self, pool) - spent)
            left -= spent
        return True


class RetryBudget:
    """Not to be used by two threads at once."""

    def __init__(self, per_minute: float = PER_MINUTE, share: float = SHARE) -> None:
        """`per_minute`: retries of all jobs of a host together; `share`: retries on top for each first attempt."""
        self.per_minute = per_minute
        self._share = share
        self._buckets: dict[str, _Bucket] = {}

    def first_attempt(self, endpoint: str, now: float) -> None:
        """A run asks this endpoint. `now`: monotonic seconds."""
        self._bucket(endpoint, now).earned += self._share

    def take(self, endpoint: str, now: float) -> bool:
        """Whether there may be one more retry; then it is counted. `now`: monotonic seconds."""
        return self._bucket(endpoint, now).take()

    def _bucket(self, endpoint: str, now: float) -> _Bucket:
        # Taking a URL apart costs as much as all else here, and each run comes along.
        end = endpoint.find("/", _HOST_BEGINS)
        host = _host_of(endpoint if end < 0 else endpoint[:end])
        bucket = self._buckets.get(host)
        if bucket is None:
            self._forget_idle(now)
            bucket = self._buckets[host] = _Bucket(self.per_minute, now, now)
        bucket.fill(now, self.per_minute)
        return bucket

    def _forget_idle(self, now: float) -> None:
        if len(self._buckets) >= _MOST_HOSTS:
            self._buckets = {host: one for host, one in self._buckets.items() if now - one.filled_at < _MINUTE}
