"""Reads the circuit breakers of all jobs, and finds those that are not closed or are overridden."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from jobs.formats import format_instant
from jobs.ports import CircuitStateStore, Clock
from jobs.running.circuit_state import (
    EMPTY_WINDOW,
    CircuitCondition,
    CircuitState,
    ManualOverride,
    WindowCounts,
    count_window,
    load_state,
)
from jobs.running.circuit_state_machine import retry_at
from scheduler.catalog.catalog import Catalog, JobSnapshot, Query
from scheduler.features.circuits.models import CircuitList, CircuitModel, CircuitOverrideModel

if TYPE_CHECKING:
    from jobs.policies import CircuitPolicy

    _CircuitJobs = Mapping[str, tuple[CircuitPolicy, list[str]]]
    """The policy and the jobs of each circuit, by its key."""


@dataclass(frozen=True, slots=True)
class CircuitView:
    """A circuit as of `now`. `jobs`: the jobs that share it, which have the same policy."""

    key: str
    jobs: tuple[str, ...]
    policy: CircuitPolicy
    stored_state: CircuitState
    now: datetime

    @property
    def override(self) -> ManualOverride | None:
        """The operator's override in force now."""
        return self.stored_state.active_override(self.now)

    @property
    def state(self) -> str:
        """`closed`, `open`, `half_open`, `held_open` or `held_closed`."""
        if self.override is not None:
            return "held_open" if self.override.is_open else "held_closed"
        return self.stored_state.condition.value

    @property
    def is_reset(self) -> bool:
        """Whether a reset changes nothing."""
        state = self.stored_state
        is_closed = state.condition is CircuitCondition.CLOSED and self.override is None
        return is_closed and state.consecutive_failures == 0 and state.window == EMPTY_WINDOW

    @property
    def since(self) -> datetime | None:
        """When the override or the current state started; None if it is closed."""
        return self.override.since if self.override is not None else self.stored_state.since

    @property
    def reason(self) -> str:
        """Why it opened, or the reason of the override; empty if it is closed."""
        return self.override.reason if self.override is not None else self.stored_state.opened_reason

    @property
    def retry_at(self) -> datetime | None:
        """When runs that are rejected now are admitted again; None if they are admitted, or if that is unknown."""
        return retry_at(self.stored_state, self.policy, self.now)

    @property
    def tally(self) -> WindowCounts:
        """The runs in its window."""
        return count_window(self.stored_state.window, self.policy.window, self.now)

    def __str__(self) -> str:
        """`open since 2026-03-01 12:00:00Z: 3 failures in a row; next probe at 2026-03-01 12:01:00Z`."""
        if self.override is not None:
            return str(self.override)
        if self.stored_state.condition is CircuitCondition.CLOSED:
            return "closed"
        text = self.stored_state.condition.replace("_", "-")
        if self.since is not None:
            text += f" since {format_instant(self.since)}"
        if self.reason:
            text += f": {self.reason}"
        return text + (f"; next probe at {format_instant(self.retry_at)}" if self.retry_at is not None else "")


class CircuitQueries(Query):
    """All methods that await raise StoreError."""

    def __init__(self, catalog: Catalog, states: CircuitStateStore, clock: Clock) -> None:
        self._catalog = catalog
        self._states = states
        self._clock = clock
        self._of_snapshot: tuple[JobSnapshot, _CircuitJobs] | None = None

    async def list_circuits(self, *, limit: int, after: str = "") -> CircuitList:
        """Return a page of circuits by key."""
        views, continuation = await self.list_views(limit=limit, after=after)
        return CircuitList(circuits=[show_circuit(view) for view in views], continuation=continuation)

    async def list_views(self, *, limit: int, after: str = "") -> tuple[Sequence[CircuitView], str | None]:
        """Return circuits by key, and the key after which the next page starts; None on the last page."""
        circuits = self._policies_and_jobs()
        keys = sorted(circuits)
        start = bisect_right(keys, after) if after else 0
        chosen = keys[start : start + limit]
        has_more = start + limit < len(keys)
        return await self._read_views(chosen, circuits), chosen[-1] if has_more else None

    async def find_circuit(self, key: str) -> CircuitView | None:
        """Return the circuit; None if no job has it."""
        circuits = self._policies_and_jobs()
        if key not in circuits:
            return None
        (view,) = await self._read_views([key], circuits)
        return view

    async def circuits_of_jobs(self, names: Sequence[str]) -> Mapping[str, CircuitView]:
        """Return the circuit of each of these jobs that has one."""
        keys: dict[str, str] = {}
        for name in names:
            entry = self._catalog.find_job(name)
            if entry is not None and entry.job.circuit_key is not None:
                keys[name] = entry.job.circuit_key
        if not keys:
            return {}
        views = {
            view.key: view for view in await self._read_views(sorted(set(keys.values())), self._policies_and_jobs())
        }
        return {name: views[key] for name, key in keys.items() if key in views}

    def is_shared_with_others(self, key: str) -> bool:
        """Return whether jobs outside of the catalog share the circuit."""
        return self._catalog.shares_circuit(key)

    def circuit_keys(self) -> Sequence[str]:
        """Return the keys of all circuits, sorted."""
        return sorted(self._policies_and_jobs())

    def _policies_and_jobs(self) -> _CircuitJobs:
        snapshot = self._catalog.snapshot
        if self._of_snapshot is None or self._of_snapshot[0] is not snapshot:
            circuits: dict[str, tuple[CircuitPolicy, list[str]]] = {}
            for entry in snapshot:
                policy, key = entry.job.circuit, entry.job.circuit_key
                if policy is not None and key is not None:
                    circuits.setdefault(key, (policy, []))[1].append(entry.job.name)
            self._of_snapshot = snapshot, circuits
        return self._of_snapshot[1]

    async def _read_views(self, keys: Sequence[str], circuits: _CircuitJobs) -> list[CircuitView]:
        existing = [key for key in keys if key in circuits]
        stored = await asyncio.gather(*map(self._states.load, existing))
        now = self._clock.now()
        return [
            CircuitView(key, tuple(sorted(circuits[key][1])), circuits[key][0], load_state(text), now)
            for key, (text, _) in zip(existing, stored, strict=True)
        ]


def show_circuit(view: CircuitView) -> CircuitModel:
    """Return what is shown of a circuit."""
    override, counted = view.override, view.tally
    return CircuitModel.from_object(
        view,
        jobs=list(view.jobs),
        override=None if override is None else CircuitOverrideModel.from_object(override, open=override.is_open),
        consecutive_failures=view.stored_state.consecutive_failures,
        calls=counted.calls,
        failures=counted.failures,
        slow=counted.slow,
        policy=view.policy.model_dump(mode="json", exclude_none=True),
        summary=str(view),
        url=f"/api/circuits/{quote(view.key, safe=':')}",
    )


MAX_OPEN_CIRCUITS: Final = 50
"""Circuits that are described. Further ones are only counted."""
_SCAN_BATCH: Final = 500
"""Circuits that are read in one batch."""
_CACHE_FACTOR: Final = 20
"""A scan of all circuits is cached for this multiple of the time it took, so that it uses at most 1/20 of a core."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class OpenCircuitFinder(Query):
    """One instance an app, because it caches keys. Its method raises StoreError."""

    def __init__(self, queries: CircuitQueries, clock: Clock) -> None:
        self._queries = queries
        self._clock = clock
        self._lock = asyncio.Lock()
        self._jobs: Sequence[str] = ()
        """A job of each circuit that the last scan found."""
        self._count = 0
        self._until = float("-inf")

    async def find(self) -> tuple[Sequence[CircuitView], int]:
        """Return up to MAX_OPEN_CIRCUITS circuits, the latest change first, and the number of all.

        Which circuits are meant is cached for a short time if there are many; their state is current.
        """
        async with self._lock:
            began = self._clock.monotonic()
            if began >= self._until:
                unusual = await self._scan()
                self._count = len(unusual)
                self._jobs = [view.jobs[0] for view in unusual[:MAX_OPEN_CIRCUITS]]
                ended = self._clock.monotonic()
                self._until = ended + _CACHE_FACTOR * (ended - began)
            jobs, count = self._jobs, self._count
        views = await self._queries.circuits_of_jobs(jobs)
        current = [view for view in views.values() if is_unusual(view)]
        return _latest_first(current), count - (len(jobs) - len(current))

    async def _scan(self) -> Sequence[CircuitView]:
        unusual: list[CircuitView] = []
        after: str | None = ""
        while after is not None:
            views, after = await self._queries.list_views(limit=_SCAN_BATCH, after=after)
            unusual += filter(is_unusual, views)
        return _latest_first(unusual)


def is_unusual(view: CircuitView) -> bool:
    """Return whether the circuit is open or half-open, or an operator overrides it."""
    return view.state != "closed"


def _latest_first(views: Sequence[CircuitView]) -> list[CircuitView]:
    return sorted(views, key=lambda view: view.since or _NEVER, reverse=True)
