"""The circuits of all jobs as people see them: reads only. Asked by operations, the API, the page and the CLI."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jobs.ports import CircuitStates, Clock
from jobs.running.circuit import CircuitState, Condition, Forced, tried_again_at
from jobs.running.circuit_json import from_json
from jobs.running.windows import Tally, tally
from scheduler.catalog import Catalog

if TYPE_CHECKING:
    from jobs.policies import CircuitPolicy


@dataclass(frozen=True, slots=True)
class CircuitView:
    """A circuit as of `now`. `jobs`: those that share it; their policies are the same."""

    key: str
    jobs: tuple[str, ...]
    policy: CircuitPolicy
    kept: CircuitState
    now: datetime

    @property
    def forced(self) -> Forced | None:
        """How an operator holds it now."""
        return self.kept.forced_at(self.now)

    @property
    def state(self) -> str:
        """`closed`, `open`, `half_open`, `held_open` or `held_closed`."""
        if self.forced is not None:
            return "held_open" if self.forced.open else "held_closed"
        return self.kept.condition.value

    @property
    def since(self) -> datetime | None:
        """Since when it is held, or not closed."""
        return self.forced.since if self.forced is not None else self.kept.since

    @property
    def why(self) -> str:
        """What opened it, or why it is held; empty for one that is closed."""
        return self.forced.reason if self.forced is not None else self.kept.why

    @property
    def tried_again_at(self) -> datetime | None:
        """When runs that are rejected now are let through again; None if they are let through, or nobody knows."""
        return tried_again_at(self.kept, self.policy, self.now)

    @property
    def counted(self) -> Tally:
        """The runs that it looks back on."""
        return tally(self.kept.window, self.policy.window, self.now)

    def __str__(self) -> str:
        """`open since 2026-03-01 12:00:00Z: 3 failures in a row; tried again at 2026-03-01 12:01:00Z`."""
        if self.forced is not None:
            return str(self.forced)
        if self.kept.condition is Condition.CLOSED:
            return "closed"
        text = self.kept.condition.replace("_", "-")
        if self.since is not None:
            text += f" since {_text(self.since)}"
        if self.why:
            text += f": {self.why}"
        return text + (f"; tried again at {_text(self.tried_again_at)}" if self.tried_again_at is not None else "")


@dataclass(frozen=True, slots=True)
class CircuitPage:
    """`continuation` is the key after which the next page begins; None on the last page."""

    circuits: tuple[CircuitView, ...]
    continuation: str | None


class CircuitBoard:
    """All methods raise StoreError while the store is away."""

    def __init__(self, catalog: Catalog, states: CircuitStates, clock: Clock) -> None:
        self._catalog = catalog
        self._states = states
        self._clock = clock

    async def page(self, *, limit: int, after: str = "") -> CircuitPage:
        """Circuits by key, a page at a time."""
        known = self._known()
        keys = sorted(known)
        start = bisect_right(keys, after) if after else 0
        chosen = keys[start : start + limit]
        more = start + limit < len(keys)
        return CircuitPage(tuple(await self._views(chosen, known)), chosen[-1] if more else None)

    async def find(self, key: str) -> CircuitView | None:
        """None: no job has such a circuit."""
        known = self._known()
        if key not in known:
            return None
        (view,) = await self._views([key], known)
        return view

    async def of_jobs(self, names: Sequence[str]) -> Mapping[str, CircuitView]:
        """The circuit of each of these jobs that has one."""
        keys: dict[str, str] = {}
        for name in names:
            entry = self._catalog.find(name)
            if entry is not None and entry.job.circuit_key is not None:
                keys[name] = entry.job.circuit_key
        if not keys:
            return {}
        views = {view.key: view for view in await self._views(sorted(set(keys.values())), self._known())}
        return {name: views[key] for name, key in keys.items() if key in views}

    def known(self) -> Sequence[str]:
        """The keys of all circuits, in order."""
        return sorted(self._known())

    def _known(self) -> Mapping[str, tuple[CircuitPolicy, list[str]]]:
        known: dict[str, tuple[CircuitPolicy, list[str]]] = {}
        for entry in self._catalog:
            policy, key = entry.job.circuit, entry.job.circuit_key
            if policy is not None and key is not None:
                known.setdefault(key, (policy, []))[1].append(entry.job.name)
        return known

    async def _views(
        self, keys: Sequence[str], known: Mapping[str, tuple[CircuitPolicy, list[str]]]
    ) -> list[CircuitView]:
        there = [key for key in keys if key in known]
        stored = await asyncio.gather(*map(self._states.load, there))
        now = self._clock.now()
        return [
            CircuitView(key, tuple(sorted(known[key][1])), known[key][0], from_json(text), now)
            for key, (text, _) in zip(there, stored, strict=True)
        ]


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}Z"
