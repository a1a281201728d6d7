"""Values that are fetched from afar and kept for a while: secrets of the vault, tokens of the identity and of others.

Used by config (key_vault.py, identity.py) and by jobs/checks/http/oauth.py.

One fetch at a time for each name, however many runs ask; a kept value outlives a source that is away, up to a bound; a
failure is remembered for some seconds, so that a source that is away is not asked by every run.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from jobs.ports import Clock

FAILURE_CACHED_SECONDS = 15.0
"""Seconds until a name that failed is asked for again."""

RENEWAL_WAIT_SECONDS = 3.0
"""Seconds that a run waits for a renewal while the kept value may still be used."""

FIRST_FORCED_REFRESH_PAUSE = 2.0
"""Seconds after a value was fetched again because a target refused it, until the next refusal does the same: a target
may refuse a new value some moments before the source has it. Doubled with each time, up to LONGEST_PAUSE."""

LONGEST_FORCED_REFRESH_PAUSE = 60.0

FORCED_REFRESH_PAUSE_RESET = 600.0
"""Seconds without such a fetch after which the pause begins anew."""


class ValueNotFound(Exception):
    """The source answered that there is no such value (any more): a kept one must not be used either."""


@dataclass(frozen=True, slots=True)
class FetchedValue:
    """A value, and for how many seconds it is used without asking, and at most."""

    value: str
    fresh_for: float
    usable_for: float


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """A name whose source is away. `stale`: the kept value is used meanwhile."""

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
    """`fetch` gets a name and gives the value, or raises an error whose message names what is wrong, and no value."""

    def __init__(
        self,
        fetch: Callable[[str], Awaitable[FetchedValue]],
        clock: Clock,
        *,
        fetch_uncached: Callable[[str], Awaitable[FetchedValue]] | None = None,
        is_stable: bool = False,
    ) -> None:
        """`fetch_uncached`: past what the source's own client keeps, for a value that a target refused. `lasting`: the
        source gives the same value until somebody changes it, as a vault does and who issues tokens does not."""
        self._fetch = fetch
        self._fetch_anew = fetch_uncached or fetch
        self._lasting = is_stable
        self._clock = clock
        self._kept: dict[str, _CacheEntry] = {}

    async def get(self, name: str) -> str:
        """The value now. Raises what `fetch` raised if there is none that may be used."""
        kept = self._kept.setdefault(name, _CacheEntry())
        now = self._clock.monotonic()
        if kept.value is not None and now < kept.fresh_until:
            return kept.value
        usable = kept.value is not None and now < kept.usable_until
        if now >= kept.ask_again_at:
            await self._renewed(name, kept, RENEWAL_WAIT_SECONDS if usable else None)
        if kept.value is not None and self._clock.monotonic() < kept.usable_until:
            return kept.value
        if kept.failure is None:
            raise RuntimeError(f"{name}: neither a value nor a failure")
        raise copy.copy(kept.failure)  # one object raised in many tasks would collect all their tracebacks

    async def refresh_if_equal(self, name: str, rejected: str) -> bool:
        """Whether the value is another one than `refused` by now. Fetched for this unless it was so lately."""
        kept = self._kept.setdefault(name, _CacheEntry())
        if kept.value in (None, rejected) and kept.fetching is not None:
            await asyncio.wait({kept.fetching})
        if kept.value in (None, rejected) and self._may_force_refresh(kept):
            await self._renewed(name, kept, None, anew=True)
            if self._lasting and kept.value not in (None, rejected):
                kept.doubted_at = float("-inf")  # it was doubted rightly, so the next refusal is a new matter
        return kept.value is not None and kept.value != rejected

    def mark_stale(self, name: str) -> None:
        """Fetch it again at the next use: there is a new one. While the source is away the kept one is used on."""
        if (kept := self._kept.get(name)) is not None:
            kept.fresh_until = kept.ask_again_at = 0.0

    def evict(self, name: str) -> bool:
        """Let go of it, unless it is being fetched; whether that was done."""
        kept = self._kept.get(name)
        if kept is not None and kept.fetching is not None:
            return False
        self._kept.pop(name, None)
        return True

    def names(self) -> tuple[str, ...]:
        """Those that were asked for."""
        return tuple(self._kept)

    def read_at(self, name: str) -> datetime | None:
        """When its value was fetched; None if there is none."""
        kept = self._kept.get(name)
        return None if kept is None or kept.value is None else kept.read_at

    def _may_force_refresh(self, kept: _CacheEntry) -> bool:
        now = self._clock.monotonic()
        since = now - kept.doubted_at
        if since < kept.pause:
            return False
        kept.pause = (
            FIRST_FORCED_REFRESH_PAUSE
            if since > FORCED_REFRESH_PAUSE_RESET
            else min(2 * kept.pause, LONGEST_FORCED_REFRESH_PAUSE)
        )
        kept.doubted_at = now
        return True

    async def _renewed(self, name: str, kept: _CacheEntry, patience: float | None, *, anew: bool = False) -> None:
        """Wait for the one fetch that is going on. It goes on when this caller's time is up."""
        if kept.fetching is None:
            kept.fetching = asyncio.create_task(self._renew(name, kept, anew))
        await asyncio.wait({kept.fetching}, timeout=patience)

    async def _renew(self, name: str, kept: _CacheEntry, anew: bool) -> None:
        try:
            fetched = await (self._fetch_anew if anew else self._fetch)(name)
        except Exception as error:
            self._failed(kept, error)
        else:
            now, kept.read_at = self._clock.monotonic(), self._clock.now()
            kept.value, kept.failure, kept.failing_since, kept.ask_again_at = fetched.value, None, None, 0.0
            kept.fresh_until, kept.usable_until = now + fetched.fresh_for, now + fetched.usable_for
        finally:
            kept.fetching = None

    def _failed(self, kept: _CacheEntry, error: Exception) -> None:
        kept.failure = error
        kept.failing_since = kept.failing_since or self._clock.now()
        kept.ask_again_at = self._clock.monotonic() + FAILURE_CACHED_SECONDS
        if isinstance(error, ValueNotFound):
            kept.value = None

    def fetch_failures(self) -> tuple[FetchFailure, ...]:
        """The names whose last fetch failed."""
        now = self._clock.monotonic()
        return tuple(
            FetchFailure(
                name, kept.failing_since, str(kept.failure), kept.value is not None and now < kept.usable_until
            )
            for name, kept in self._kept.items()
            if kept.failing_since is not None
        )

    async def aclose(self) -> None:
        """End what is being fetched."""
        tasks = [kept.fetching for kept in self._kept.values() if kept.fetching is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
