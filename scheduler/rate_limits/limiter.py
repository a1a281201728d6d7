"""The limits of requests by group, and what counts requests against them.

The `limits` package is imported by `prepare` or with the first request, because a process that only answers health
probes does not need it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil
from typing import TYPE_CHECKING, Final

from jobs.ports import Clock
from scheduler.stores.port import Store

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.strategies import FixedWindowRateLimiter

OFF: Final = "off"


class LimitGroup(StrEnum):
    """What is counted together. The values are the names of the policies in RateLimit fields."""

    READ = "read"
    OPERATE = "operate"
    MANAGE = "manage"
    FAILED_AUTHENTICATION = "failed-authentication"


@dataclass(frozen=True, slots=True)
class RateLimitRules:
    """The limit of each group, such as `600/minute`, or `off`."""

    read: str = OFF
    operate: str = OFF
    manage: str = OFF
    failed_authentication: str = OFF

    def limit_of(self, group: LimitGroup) -> str:
        limit: str = getattr(self, group.replace("-", "_"))
        return limit


@dataclass(frozen=True, slots=True)
class Quota:
    """The state of a limit. `window`: seconds in which `amount` requests are allowed.

    `remaining`: requests that are allowed for certain until the window ends in `reset_in` seconds, rounded up.
    """

    group: LimitGroup
    amount: int
    window: int
    remaining: int
    reset_in: int
    is_exceeded: bool

    def with_reset_in(self, seconds: float) -> Quota:
        return replace(self, reset_in=max(1, ceil(seconds)))


CLOCK_MARGIN: Final = 0.25
"""Seconds by which the clocks of two processes may differ."""
PRUNED_AFTER: Final = 3600.0
"""Seconds after the end of a window until its row is deleted."""
MAX_BLOCKED: Final = 10_000
"""Blocked addresses; the ones blocked first are dropped."""


class RateLimits:
    """`store`: counts are shared over its processes; None: each process counts on its own."""

    def __init__(self, rules: RateLimitRules, clock: Clock, store: Store | None = None) -> None:
        self._rules = rules
        self._clock = clock
        self._store = store
        self._blocked: dict[str, tuple[float, Quota]] = {}
        self._limiters: dict[LimitGroup, tuple[RateLimitItem, FixedWindowRateLimiter] | None] = {}

    def prepare(self) -> None:
        """Import and build everything; takes a tenth of a second."""
        for group in LimitGroup:
            self._limiter_of(group)

    async def count(self, group: LimitGroup, client: str) -> Quota | None:
        """Count a request of the client. Returns None if the group has no limit."""
        found = self._limiter_of(group)
        if found is None:
            return None
        item, limiter = found
        is_allowed = await limiter.hit(item, client)
        stats = await limiter.get_window_stats(item, client)
        left = ceil(stats.reset_time - self._now() + CLOCK_MARGIN)
        window = item.get_expiry()
        remaining = stats.remaining if is_allowed else 0
        return Quota(group, item.amount, window, remaining, min(window, max(1, left)), not is_allowed)

    def block(self, address: str, quota: Quota) -> None:
        """Reject invalid credentials of the address until the window of the quota ends."""
        while len(self._blocked) >= MAX_BLOCKED:
            del self._blocked[next(iter(self._blocked))]
        self._blocked[address] = (self._clock.monotonic() + quota.reset_in, quota)

    def find_block(self, address: str) -> Quota | None:
        """Return the exceeded quota of a blocked address."""
        if address not in self._blocked:
            return None
        until, quota = self._blocked[address]
        left = until - self._clock.monotonic()
        if left <= 0:
            del self._blocked[address]
            return None
        return quota.with_reset_in(left)

    async def prune(self) -> None:
        """Delete rows of windows that have ended. Raises StoreError."""
        if self._store is None:
            return
        from scheduler.rate_limits.windows import prune_windows

        for group in LimitGroup:
            await prune_windows(self._store, group, self._now() - PRUNED_AFTER)

    def _limiter_of(self, group: LimitGroup) -> tuple[RateLimitItem, FixedWindowRateLimiter] | None:
        if group not in self._limiters:
            limit = self._rules.limit_of(group)
            self._limiters[group] = None if limit == OFF else self._build(group, limit)
        return self._limiters[group]

    def _build(self, group: LimitGroup, limit: str) -> tuple[RateLimitItem, FixedWindowRateLimiter]:
        from limits import parse
        from limits.aio.strategies import FixedWindowRateLimiter

        from scheduler.rate_limits.windows import LocalWindows, SharedWindows

        item = parse(limit)
        item.namespace = group
        if self._store is None:
            return item, FixedWindowRateLimiter(LocalWindows(self._now))
        return item, FixedWindowRateLimiter(SharedWindows(self._store, group, item.amount, self._now))

    def _now(self) -> float:
        return self._clock.now().timestamp()
