"""Values that are fetched from afar and kept for a while: secrets of the vault, tokens of the identity.

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

FAILURE_KEPT = 15.0
"""Seconds until a name that failed is asked for again."""

PATIENCE = 3.0
"""Seconds that a run waits for a renewal while the kept value may still be used."""


class NotThere(Exception):
    """The source answered that there is no such value (any more): a kept one must not be used either."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A value, and for how many seconds it is used without asking, and at most."""

    value: str
    fresh_for: float
    usable_for: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """A name whose source is away. `stale`: the kept value is used meanwhile."""

    name: str
    since: datetime
    message: str
    stale: bool


@dataclass(slots=True)
class _Kept:
    value: str | None = None
    fresh_until: float = 0.0
    usable_until: float = 0.0
    failure: Exception | None = None
    failing_since: datetime | None = None
    ask_again_at: float = 0.0
    fetching: asyncio.Task[None] | None = None


class KeptValues:
    """`fetch` gets a name and gives the value, or raises an error whose message names what is wrong, and no value."""

    def __init__(self, fetch: Callable[[str], Awaitable[Fetched]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def get(self, name: str) -> str:
        """The value now. Raises what `fetch` raised if there is none that may be used."""
        kept = self._kept.setdefault(name, _Kept())
        now = self._clock.monotonic()
        if kept.value is not None and now < kept.fresh_until:
            return kept.value
        usable = kept.value is not None and now < kept.usable_until
        if now >= kept.ask_again_at:
            await self._renewed(name, kept, PATIENCE if usable else None)
        if kept.value is not None and self._clock.monotonic() < kept.usable_until:
            return kept.value
        if kept.failure is None:
            raise RuntimeError(f"{name}: neither a value nor a failure")
        raise copy.copy(kept.failure)  # one object raised in many tasks would collect all their tracebacks

    async def _renewed(self, name: str, kept: _Kept, patience: float | None) -> None:
        """Wait for the one fetch that is going on. It goes on when this caller's time is up."""
        if kept.fetching is None:
            kept.fetching = asyncio.create_task(self._renew(name, kept))
        await asyncio.wait({kept.fetching}, timeout=patience)

    async def _renew(self, name: str, kept: _Kept) -> None:
        try:
            fetched = await self._fetch(name)
        except Exception as error:
            self._failed(kept, error)
        else:
            now = self._clock.monotonic()
            kept.value, kept.failure, kept.failing_since, kept.ask_again_at = fetched.value, None, None, 0.0
            kept.fresh_until, kept.usable_until = now + fetched.fresh_for, now + fetched.usable_for
        finally:
            kept.fetching = None

    def _failed(self, kept: _Kept, error: Exception) -> None:
        kept.failure = error
        kept.failing_since = kept.failing_since or self._clock.now()
        kept.ask_again_at = self._clock.monotonic() + FAILURE_KEPT
        if isinstance(error, NotThere):
            kept.value = None

    def troubles(self) -> tuple[Trouble, ...]:
        """The names whose last fetch failed."""
        now = self._clock.monotonic()
        return tuple(
            Trouble(name, kept.failing_since, str(kept.failure), kept.value is not None and now < kept.usable_until)
            for name, kept in self._kept.items()
            if kept.failing_since is not None
        )

    async def aclose(self) -> None:
        """End what is being fetched."""
        tasks = [kept.fetching for kept in self._kept.values() if kept.fetching is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
