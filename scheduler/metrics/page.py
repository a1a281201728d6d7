"""The page GET /api/metrics, and its sources of series in the order in which they are read.

A new source is a class in this package and a line in `create_sources`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.ports import Clock
from observability.names.metrics import MetricSeries
from observability.names.series import SERIES, watchdog_series
from scheduler.catalog.catalog import Catalog
from scheduler.features.circuits.queries import CircuitQueries
from scheduler.features.objectives.queries import ObjectiveCounters, ObjectiveReader
from scheduler.metrics.families import (
    END,
    STEP_PAUSE,
    ExpositionFormat,
    Family,
    OmittedJobsSource,
    SeriesSelection,
    SeriesSource,
    write_comments,
)
from scheduler.metrics.job_facts import JobStateReader, RunFactReader, StatesOf
from scheduler.metrics.job_series import HistogramSetting, JobSeriesSource
from scheduler.metrics.program_series import (
    BuildSource,
    CircuitSource,
    IncidentSource,
    NotificationSource,
    ObjectiveSource,
    WatchdogSource,
)
from scheduler.stores.gates import Pauses
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs
from scheduler.timed_cache import TimedCache
from scheduler.turns import convert_each
from scheduler.watchdog import WATCHDOG_GAUGES, Watchdog


@dataclass(frozen=True, slots=True)
class SourceParts:
    """What sources read. `catalog`, `circuits`: of all jobs. `tags`, `histograms`, `max_age`: see JobSeriesSource.

    `max_jobs`: see SeriesSelection.
    """

    catalog: Catalog
    runs: Runs
    pauses: Pauses
    stored: Repositories
    circuits: CircuitQueries
    watchdog: Watchdog
    states_of: StatesOf
    objectives: ObjectiveReader
    rollup_age: float
    version: str
    tags: Iterable[str] = ()
    histograms: HistogramSetting = "auto"
    max_jobs: int = 10_000
    max_age: float = 0.0


def create_sources(parts: SourceParts) -> Sequence[SeriesSource]:
    stored = parts.stored
    states = JobStateReader(parts.states_of, parts.pauses, stored.engine_rows, stored.dead_letters, parts.circuits)
    runs = RunFactReader(stored.run_counters, parts.runs)
    selection = SeriesSelection(parts.catalog, parts.max_jobs)
    return (
        BuildSource(parts.version),
        JobSeriesSource(selection, runs, states, parts.tags, parts.histograms, parts.max_age),
        OmittedJobsSource(selection),
        IncidentSource(states),
        NotificationSource(stored.outbox_rows, stored.undelivered),
        CircuitSource(selection, states),
        WatchdogSource(parts.watchdog),
        ObjectiveSource(selection, parts.objectives, ObjectiveCounters(parts.objectives.measurer, parts.rollup_age)),
    )


CACHED_SECONDS = 5.0
"""For which a page is cached at least, so that concurrent scrapes share one."""
CACHE_FACTOR = 4
"""A page is cached for so many times as long as making it took: at most a fifth of the time is spent on it."""
MAX_CACHED = 30.0
"""Seconds."""
CACHED_PAGES = 20
"""Of different callers and formats."""
Encode = Callable[[bytes], Awaitable[bytes]]


class UndeclaredSeries(LookupError):
    """A source has returned a series that observability.names.series does not declare."""


class MetricsPage:
    """`write` raises StoreError."""

    def __init__(self, sources: Sequence[SeriesSource], clock: Clock, cached_seconds: float = 0.0) -> None:
        """`cached_seconds`: for which a page is cached at least; see CACHE_FACTOR. 0: pages are not cached."""
        self._sources = sources
        self._clock = clock
        self._lock = asyncio.Lock()
        self._cached_seconds = cached_seconds
        max_cached = MAX_CACHED if cached_seconds else 0.0
        self._cache: TimedCache[bytes] = TimedCache(clock, CACHE_FACTOR, max_cached, CACHED_PAGES)
        declared = (*SERIES, *map(watchdog_series, WATCHDOG_GAUGES))
        self._places: Mapping[MetricSeries, int] = {each: place for place, each in enumerate(declared)}

    async def write(
        self, catalog: Catalog, text_format: ExpositionFormat, *, is_limited: bool, encode: Encode | None = None
    ) -> bytes:
        """Return the page with the jobs of this catalog. `is_limited`: whether there may be others.

        `encode`: compresses the page. The first read of a large store takes longer than a client may wait. It continues
        without the client, so that a later request finds its result.
        """
        # A limited catalog is another object after any change of jobs: its pages cannot show what others own now.
        key = (catalog if is_limited else None, text_format, encode)
        return await self._cache.get(
            key, self._cached_seconds, lambda: self._write(catalog, text_format, is_limited, encode)
        )

    async def aclose(self) -> None:
        """Stop what clients no longer wait for."""
        await self._cache.aclose()

    async def _write(
        self, catalog: Catalog, text_format: ExpositionFormat, is_limited: bool, encode: Encode | None
    ) -> bytes:
        texts = self._join(await self._read(catalog, is_limited), text_format)
        page = b"".join(await convert_each(str.encode, texts, STEP_PAUSE))
        return page if encode is None else await encode(page)

    async def _read(self, catalog: Catalog, is_limited: bool) -> list[Family]:
        async with self._lock:
            families: list[Family] = []
            for source in self._sources:
                families += await source.read(catalog, self._clock.now(), is_limited=is_limited)
        return families

    def _join(self, families: Iterable[Family], text_format: ExpositionFormat) -> Iterable[str]:
        for family in families:
            if family.series not in self._places:
                raise UndeclaredSeries(family.series.name)
        for family in sorted(families, key=lambda each: self._places[each.series]):
            if family.lines:
                yield write_comments(family.series, text_format)
                yield family.lines
        if text_format is ExpositionFormat.OPEN_METRICS:
            yield END
