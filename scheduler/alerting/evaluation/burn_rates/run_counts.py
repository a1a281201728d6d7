"""Counts the runs of a job in windows of days, for conditions about burn rates. Used by objectives and
scheduler.alerting.evaluation.fact_reader.

Reads rollups and the runs of divided hours only. Windows and blind times are read at most each EXCLUSIONS_AGE seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Set
from datetime import datetime, timedelta

from jobs.alerting.conditions.burn_rate import LONGEST_BURN_WINDOW
from jobs.definition import JobDefinition
from jobs.incidents.downtime import merge_spans
from jobs.incidents.suppression.spans import Span
from jobs.objectives import SliCounts
from scheduler.features.objectives.run_counting import MILLISECOND, ObjectiveRunCounter
from scheduler.queries.alerting.exclusions import CommonExclusions, ExclusionReader
from scheduler.stores.runs.repository import Runs

EXCLUSIONS_AGE = timedelta(seconds=15)


class RunCountReader:
    """Raises StoreError."""

    def __init__(self, runs: Runs, exclusions: ExclusionReader) -> None:
        self._runs = runs
        self._exclusions = exclusions
        self._common: tuple[datetime, CommonExclusions] | None = None
        self._lock = asyncio.Lock()

    async def read(
        self, job: JobDefinition, windows: Set[tuple[timedelta, bool]], now: datetime
    ) -> Mapping[tuple[timedelta, bool], SliCounts]:
        """Return the counts by window, and by whether degraded runs are bad."""
        async with self._lock:
            common = await self._read_common(now)
        times = self._exclusions.list_uncounted(
            job, Span(now - max(window for window, _ in windows), now + MILLISECOND), common
        )
        excluded = merge_spans(Span(each.begin, each.end) for each in times.times)
        found: dict[tuple[timedelta, bool], SliCounts] = {}
        for is_degraded_bad in sorted({each for _, each in windows}):
            counter = ObjectiveRunCounter(self._runs, is_degraded_bad=is_degraded_bad)
            chosen = [window for window, each in windows if each == is_degraded_bad]
            counts = await counter.count_windows(job.name, now, chosen, excluded)
            found.update({(window, is_degraded_bad): each for window, each in counts.items()})
        return found

    async def _read_common(self, now: datetime) -> CommonExclusions:
        known = self._common
        if known is not None and timedelta() <= now - known[0] < EXCLUSIONS_AGE:
            return known[1]
        common = await self._exclusions.read_common(Span(now - timedelta(seconds=LONGEST_BURN_WINDOW), now))
        self._common = now, common
        return common
