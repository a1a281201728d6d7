"""How many requests Azure's APIs admit: one budget for all checks of this process.

Azure limits the requests of an identity: of Resource Manager for each subscription, by token buckets; of other APIs for
each tenant, scope or identity. A check draws from the same buckets, less a share for others with this identity, and
waits for its turn. Other processes draw from the same limits: the headers of each response tell what is left, and
lower the level here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from jobs.targets.azure_apis import (
    API_HOSTS,
    COST_QUERIES,
    GRAPH_READS,
    LOG_QUERIES,
    QUEUE_REQUESTS,
    RESOURCE_GRAPH,
    SUBSCRIPTION_READS,
    SUBSCRIPTION_WRITES,
    RateLimit,
)

USED_SHARE = 0.8
"""Of each limit: the rest is for others who use this identity."""

MAX_WAIT = 25.0
"""Seconds for which a request waits for its turn. An attempt has longer, so that it is judged."""

_UNLIMITED = RateLimit(math.inf, math.inf)
_DEFAULT_BLOCK, _MAX_BLOCK = 30.0, 3600.0
"""Seconds without a request after a 429 that names no time, and at most."""

_SUBSCRIPTION = re.compile(r"^/subscriptions/([^/]+)", re.IGNORECASE)
_PROVIDER = re.compile(r".*/providers/([^/]+)", re.IGNORECASE)

_REMAINING = {
    "x-ms-ratelimit-remaining-subscription-reads": "reads of",
    "x-ms-ratelimit-remaining-tenant-reads": "reads of",
    "x-ms-ratelimit-remaining-subscription-writes": "writes of",
    "x-ms-ratelimit-remaining-tenant-writes": "writes of",
    "x-ms-user-quota-remaining": "queries of",
}
"""The kind of limit whose remaining requests a header tells."""
_WAITS = (
    "x-ms-ratelimit-microsoft.consumption-retry-after",
    "x-ms-ratelimit-microsoft.costmanagement-qpu-retry-after",
    "x-ms-ratelimit-microsoft.costmanagement-entity-retry-after",
    "x-ms-ratelimit-microsoft.costmanagement-tenant-retry-after",
)
_RESETS_AFTER = "x-ms-user-quota-resets-after"
_CLOCK = re.compile(r"(\d{1,3}):(\d\d):(\d\d)(?:\.\d+)?")


class LimitKey(NamedTuple):
    """A limit, in words: `reads of`, `subscription 5f75...`."""

    kind: str
    owner: str

    def __str__(self) -> str:
        return f"{self.kind} {self.owner}"


@dataclass
class BudgetExhausted(Exception):
    """There is no request left for a limit. `seconds`: until there is. `is_blocked`: by a response of Azure."""

    key: LimitKey
    seconds: float
    is_blocked: bool


Limits = Mapping[LimitKey, RateLimit]


# perf: a run of an Azure check, 10 us each
@lru_cache(4096)
def find_limits(method: str, url: str) -> Limits:
    """Return the limits that a request counts against. The last one is that of the resource provider, or of the API.

    `url`: without a query, as the cache holds it.
    """
    parts = urlsplit(url)
    host, path = parts.netloc.lower(), parts.path
    if not any(host == hosts.arm for hosts in API_HOSTS.values()):
        if any(host == hosts.graph for hosts in API_HOSTS.values()):
            return {LimitKey("reads of", f"the tenant at {host}"): GRAPH_READS}
        if host.partition(".")[2] in (hosts.queues for hosts in API_HOSTS.values()):
            return {LimitKey("requests to", host): QUEUE_REQUESTS}
        return {LimitKey("queries at", host): LOG_QUERIES}
    if path.lower().endswith("/microsoft.resourcegraph/resources"):
        return {LimitKey("queries of", "Resource Graph"): RESOURCE_GRAPH}
    found, provider = _SUBSCRIPTION.match(path), _PROVIDER.match(path)
    owner = f"subscription {found[1].lower()}" if found else "the tenant"
    is_write = method not in ("GET", "HEAD")
    key = LimitKey("writes of" if is_write else "reads of", owner)
    limits = {key: SUBSCRIPTION_WRITES if is_write else SUBSCRIPTION_READS}
    if provider is not None:
        name = provider[1].lower()
        is_cost = name in ("microsoft.consumption", "microsoft.costmanagement")
        limits[LimitKey(f"requests to {name} of", owner)] = COST_QUERIES if is_cost else _UNLIMITED
    return limits


@dataclass(slots=True)
class _LimitBucket:
    """`level`: requests left at `at`; negative while requests wait for their turn."""

    size: float
    refill: float
    level: float
    at: float
    blocked_until: float = 0.0

    def move_to(self, now: float) -> None:
        if self.refill < math.inf:
            self.level = min(self.size, self.level + (now - self.at) * self.refill)
        self.at = now


class AzureBudget:
    """The buckets. `read`: returns monotonic seconds. They exist for the limits that jobs name, so they are few."""

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._buckets: dict[LimitKey, _LimitBucket] = {}

    def reserve(self, limits: Limits) -> float:
        """Take one request of each limit; return the seconds to wait before it is sent. In order of the calls.

        Raises BudgetExhausted, and takes nothing: that would be more than MAX_WAIT.
        """
        now = self._read()
        buckets = [self._bucket(key, limit, now) for key, limit in limits.items()]
        wait = 0.0
        for key, bucket in zip(limits, buckets, strict=True):
            turn = max((1 - bucket.level) / bucket.refill, 0.0) if bucket.refill < math.inf else 0.0
            blocked = max(bucket.blocked_until - now, 0.0)
            wait = max(wait, turn, blocked)
            if wait > MAX_WAIT:
                raise BudgetExhausted(key, wait, is_blocked=blocked >= turn)
        for bucket in buckets:
            bucket.level -= 1
        return wait

    def check_blocked(self, limits: Limits) -> None:
        """Raise BudgetExhausted if Azure has refused requests of these limits since this one was reserved."""
        now = self._read()
        for key in limits:
            if (left := self._buckets[key].blocked_until - now) > 0:
                raise BudgetExhausted(key, left, is_blocked=True)

    def record(
        self,
        limits: Limits,
        status: int | None,
        headers: Mapping[str, str],
        retry_after_s: float | None,
    ) -> float | None:
        """Learn what is left from a response; of a 429, return the seconds for which nothing more is sent."""
        now = self._read()
        is_drained = self._learn_remaining(limits, headers, now)
        if status != 429:
            return None
        seconds = min(max(find_wait(headers, retry_after_s), 1.0), _MAX_BLOCK)
        # A resource provider that throttles leaves the others alone.
        keys = list(limits) if is_drained else list(limits)[-1:]
        for key in keys:
            bucket = self._bucket(key, limits[key], now)
            bucket.blocked_until = max(bucket.blocked_until, now + seconds)
        return seconds

    def _learn_remaining(self, limits: Limits, headers: Mapping[str, str], now: float) -> bool:
        """Lower the levels to what the headers leave. Return whether a limit has nothing left."""
        is_drained = False
        for name, kind in _REMAINING.items():
            text = headers.get(name, "")
            key = next((key for key in limits if key.kind == kind), None)
            if key is None or not (text.isascii() and text.isdigit()):
                continue
            remaining = int(text[:9])
            bucket = self._bucket(key, limits[key], now)
            reserved = limits[key].size * (1 - USED_SHARE)
            bucket.level = min(bucket.level, max(remaining - reserved, 0.0))
            if remaining == 0:
                is_drained = True
                if name == "x-ms-user-quota-remaining":
                    bucket.blocked_until = max(bucket.blocked_until, now + _parse_clock(headers.get(_RESETS_AFTER, "")))
        return is_drained

    def _bucket(self, key: LimitKey, limit: RateLimit, now: float) -> _LimitBucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            size = max(math.floor(limit.size * USED_SHARE), 1) if limit.size < math.inf else math.inf
            bucket = self._buckets[key] = _LimitBucket(size, limit.refill * USED_SHARE, size, now)
        bucket.move_to(now)
        return bucket


def find_wait(headers: Mapping[str, str], retry_after_s: float | None) -> float:
    """Return the seconds to wait after a 429."""
    named = [float(headers[name][:9]) for name in _WAITS if headers.get(name, "").isdecimal()]
    waits = [*named, *([] if retry_after_s is None else [retry_after_s])]
    return max(waits) if waits else _parse_clock(headers.get(_RESETS_AFTER, "")) or _DEFAULT_BLOCK


def _parse_clock(text: str) -> float:
    """Return the seconds of `00:00:05`; 0 for any other text."""
    found = _CLOCK.fullmatch(text)
    return 0.0 if found is None else float(found[1]) * 3600 + float(found[2]) * 60 + float(found[3])
