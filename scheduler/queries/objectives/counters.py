"""Counts the runs of an objective since the beginning of the year, for counters of Prometheus.

Used by scheduler.metrics.program_series. A counter must not fall when the oldest day is deleted, so it counts from an
instant that seldom moves. Days that are over are read once a day.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobs.definition.job_alerts import NamedObjective
from jobs.incidents.suppression.spans import Span
from jobs.objectives import NO_COUNTS, SliCounts
from scheduler.queries.objectives.measuring import ObjectiveMeasurer

_YEAR_S = 366 * 86400.0
_OPEN_DAYS = timedelta(days=2)
"""Runs of these are counted at each read: they may finish late."""


class ObjectiveCounters:
    """`age`: retention of rollups in seconds. If it is less than a year, counters begin with the month."""

    def __init__(self, measurer: ObjectiveMeasurer, age: float) -> None:
        self._measurer = measurer
        self._age = age
        self._closed: dict[str, tuple[NamedObjective, Span, SliCounts]] = {}

    async def read(self, objective: NamedObjective, now: datetime) -> SliCounts:
        """Return valid and bad runs. Raises StoreError."""
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        first = day.replace(day=1) if self._age < _YEAR_S else day.replace(month=1, day=1)
        closed = Span(first, max(first, day - _OPEN_DAYS))
        counts = await self._read_closed(objective, closed)
        return counts + await self._sum(objective, Span(closed.end, now))

    def retain_only(self, names: set[str]) -> None:
        """Forget all objectives but these."""
        self._closed = {name: each for name, each in self._closed.items() if name in names}

    async def _read_closed(self, objective: NamedObjective, closed: Span) -> SliCounts:
        known = self._closed.get(objective.name)
        if known is not None and known[:2] == (objective, closed):
            return known[2]
        counts = await self._sum(objective, closed) if closed.begin < closed.end else NO_COUNTS
        self._closed[objective.name] = objective, closed, counts
        return counts

    async def _sum(self, objective: NamedObjective, period: Span) -> SliCounts:
        return sum((each.counts for each in await self._measurer.measure(objective, period)), NO_COUNTS)
