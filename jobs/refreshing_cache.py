"""A cache of values from remote sources: secrets of the vault, tokens of the managed identity and of OAuth clients.

Called by config.secrets, config.identity and the checks.

It fetches a name once at a time, however many runs request it. A cached value is used while its source is unavailable,
up to a limit; a failure is cached for some seconds, so that not every run queries an unavailable source.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from jobs.ports import Clock

FAILURE_CACHED_SECONDS = 15.0
"""Seconds until a name is fetched again after a failure."""

RENEWAL_WAIT_SECONDS = 3.0
"""Seconds that a run waits for a renewal while the cached value is still usable."""

FIRST_FORCED_REFRESH_PAUSE = 2.0
"""Seconds between two forced refreshes after a target rejected a value: a target may reject a new value shortly before
the source returns it. Doubled with each one, up to the longest pause."""

MAX_FORCED_REFRESH_PAUSE = 60.0

FORCED_REFRESH_PAUSE_RESET = 600.0
"""Seconds without a forced refresh after which the pause starts from the beginning."""


class ValueNotFound(Exception):
    """The source reported that the value does not exist (any more): a cached one must not be used either."""


@dataclass(frozen=True, slots=True)
class FetchedValue:
    """A value; seconds for which it is used without a fetch, and seconds for which it is usable at most."""

    value: str
    fresh_for: float
    usable_for: float


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """A name whose source is unavailable. `is_stale_value_used`: the cached value is used meanwhile."""

    name: str
    since: datetime
    message: str
    is_stale_value_used: bool


@dataclass(slots=True)
class _CacheEntry:
    value: str | None = None
    fresh_until: float = 0.0
    usable_until: float = 0.0
    failure: Exception | None = None
    failing_since: datetime | None = None
    ask_again_at: float = 0.0
    read_at: datetime | None = None
    doubted_at: float = float("-inf")
    pause: float = 0.0
    fetching: asyncio.Task[None] | None = None


class RefreshingCache:
    """`fetch` returns the value of a name, or raises an error whose message names the cause and no value."""

    def __init__(
        self,
        fetch: Callable[[str], Awaitable[FetchedValue]],
        clock: Clock,
        *,
        fetch_uncached: Callable[[str], Awaitable[FetchedValue]] | None = None,
        is_stable: bool = False,
    ) -> None:
        """`fetch_uncached`: bypasses the cache of the source's client, for a value that a target rejected. `is_stable`:
        the source returns the same value until an operator changes it (a vault does, a token issuer does not).
        """
        self._fetch = fetch
        self._fetch_anew = fetch_uncached or fetch
        self._lasting = is_stable
        self._clock = clock
        self._entries: dict[str, _CacheEntry] = {}

    async def get(self, name: str) -> str:
        """Return the current value. Raises the error of `fetch` if no usable value exists."""
        entry = self._entries.setdefault(name, _CacheEntry())
        now = self._clock.monotonic()
        if entry.value is not None and now < entry.fresh_until:
            return entry.value
        usable = entry.value is not None and now < entry.usable_until
        if now >= entry.ask_again_at:
            await self._renewed(name, entry, RENEWAL_WAIT_SECONDS if usable else None)
        if entry.value is not None and self._clock.monotonic() < entry.usable_until:
            return entry.value
        if entry.failure is None:
            raise RuntimeError(f"{name}: the fetch ended without a value and without a failure")
        raise copy.copy(entry.failure)  # one object raised in many tasks would collect all their tracebacks

    async def refresh_if_equal(self, name: str, rejected: str) -> bool:
        """Return whether the value now differs from `rejected`. Fetches it first, unless that happened recently."""
        entry = self._entries.setdefault(name, _CacheEntry())
        if entry.value in (None, rejected) and entry.fetching is not None:
            await asyncio.wait({entry.fetching})
        if entry.value in (None, rejected) and self._may_force_refresh(entry):
            await self._renewed(name, entry, None, anew=True)
            if self._lasting and entry.value not in (None, rejected):
                entry.doubted_at = float("-inf")  # the value had changed, so the next rejection is a new event
        return entry.value is not None and entry.value != rejected

    def mark_stale(self, name: str) -> None:
        """Fetch the value at its next use. The cached one is used if the source is unavailable then."""
        if (entry := self._entries.get(name)) is not None:
            entry.fresh_until = entry.ask_again_at = 0.0

    def evict(self, name: str) -> bool:
        """Remove the name unless a fetch of it is in progress; return whether it was removed."""
        entry = self._entries.get(name)
        if entry is not None and entry.fetching is not None:
            return False
        self._entries.pop(name, None)
        return True

    def names(self) -> tuple[str, ...]:
        """Return the requested names."""
        return tuple(self._entries)

    def read_at(self, name: str) -> datetime | None:
        """Return when the value was fetched; None without one."""
        entry = self._entries.get(name)
        return None if entry is None or entry.value is None else entry.read_at

    def _may_force_refresh(self, entry: _CacheEntry) -> bool:
        now = self._clock.monotonic()
        since = now - entry.doubted_at
        if since < entry.pause:
            return False
        entry.pause = (
            FIRST_FORCED_REFRESH_PAUSE
            if since > FORCED_REFRESH_PAUSE_RESET
            else min(2 * entry.pause, MAX_FORCED_REFRESH_PAUSE)
        )
        entry.doubted_at = now
        return True

    async def _renewed(self, name: str, entry: _CacheEntry, patience: float | None, *, anew: bool = False) -> None:
        """Wait for the one fetch in progress. The fetch continues when this caller's wait times out."""
        if entry.fetching is None:
            entry.fetching = asyncio.create_task(self._renew(name, entry, anew))
        await asyncio.wait({entry.fetching}, timeout=patience)

    async def _renew(self, name: str, entry: _CacheEntry, anew: bool) -> None:
        try:
            fetched = await (self._fetch_anew if anew else self._fetch)(name)
        except Exception as error:
            self._failed(entry, error)
        else:
            now, entry.read_at = self._clock.monotonic(), self._clock.now()
            entry.value, entry.failure, entry.failing_since, entry.ask_again_at = fetched.value, None, None, 0.0
            entry.fresh_until, entry.usable_until = now + fetched.fresh_for, now + fetched.usable_for
        finally:
            entry.fetching = None

    def _failed(self, entry: _CacheEntry, error: Exception) -> None:
        entry.failure = error
        entry.failing_since = entry.failing_since or self._clock.now()
        entry.ask_again_at = self._clock.monotonic() + FAILURE_CACHED_SECONDS
        if isinstance(error, ValueNotFound):
            entry.value = None

    def fetch_failures(self) -> tuple[FetchFailure, ...]:
        """Return the names whose last fetch failed."""
        now = self._clock.monotonic()
        return tuple(
            FetchFailure(
                name, entry.failing_since, str(entry.failure), entry.value is not None and now < entry.usable_until
            )
            for name, entry in self._entries.items()
            if entry.failing_since is not None
        )

    async def aclose(self) -> None:
        """Cancel the fetches in progress."""
        tasks = [entry.fetching for entry in self._entries.values() if entry.fetching is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
