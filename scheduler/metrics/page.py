"""The page GET /api/metrics, its sources in the order in which they are read, and those of the program and objectives.

A new source is a class in this package and a line in `create_sources`. A page reads at most MAX_REFRESHED objectives
again, the oldest values first: with more, values are older."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.definition.job_alerts import NamedObjective
from jobs.formats import format_duration
from jobs.objectives import SliCounts, error_ratio_of
from jobs.ports import Clock
from observability.names import series
from observability.names.metrics import MetricSeries
from observability.names.series import SERIES, watchdog_series
from scheduler.catalog.catalog import Catalog
from scheduler.features.circuits.queries import CircuitQueries
from scheduler.features.objectives.queries import ObjectiveCounters, ObjectiveReader, ObjectiveState
from scheduler.metrics.families import (
    END,
    STEP_PAUSE,
    ExpositionFormat,
    Family,
    OmittedJobsSource,
    SeriesSelection,
    SeriesSource,
    write_comments,
    write_samples,
)
from scheduler.metrics.job_facts import JobStateReader, RunFactReader, StatesOf
from scheduler.metrics.job_series import HistogramSetting, JobSeriesSource
from scheduler.stores.alerting.outbox import OutboxRows, UndeliveredRows
from scheduler.stores.gates import Pauses
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs
from scheduler.timed_cache import TimedCache
from scheduler.turns import convert_each
from scheduler.watchdog import WATCHDOG_GAUGES, Watchdog
from scheduler.watchdog.report import read_gauges

_MILLISECONDS = 1000


class BuildSource:
    def __init__(self, version: str) -> None:
        self._families = (Family(series.BUILD_INFO, write_samples(series.BUILD_INFO, [({"version": version}, 1)])),)

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """Return the version of the program."""
        return self._families


class IncidentSource:
    """Follows the source of jobs, which reads the incidents."""

    def __init__(self, states: JobStateReader) -> None:
        self._states = states

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """Return the number of open incidents, by severity."""
        engine = self._states.engine
        if is_limited or engine is None:
            return ()
        found = Counter(incident.severity for incident in engine.open)
        samples = [({"severity": severity}, count) for severity, count in sorted(found.items())]
        return (Family(series.INCIDENTS_OPEN, write_samples(series.INCIDENTS_OPEN, samples)),)


class NotificationSource:
    def __init__(self, outbox: OutboxRows, undelivered: UndeliveredRows) -> None:
        self._outbox = outbox
        self._undelivered = undelivered

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """Return the numbers of notifications that wait and of those that could not be delivered."""
        if is_limited:
            return ()
        waiting = sum((await self._outbox.count_waiting()).values())
        given_up = sum((await self._undelivered.count()).values())
        return (
            Family(series.PENDING_NOTIFICATIONS, write_samples(series.PENDING_NOTIFICATIONS, [({}, waiting)])),
            Family(series.UNDELIVERED_NOTIFICATIONS, write_samples(series.UNDELIVERED_NOTIFICATIONS, [({}, given_up)])),
        )


class CircuitSource:
    """Circuits that jobs share. Follows the source of jobs, which reads the circuits of the selected jobs."""

    def __init__(self, selection: SeriesSelection, states: JobStateReader) -> None:
        self._selection = selection
        self._states = states

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """Return whether the circuit of each group is open."""
        circuits: dict[str, bool] = {}
        for entry in self._selection.jobs:
            circuit = entry.job.circuit
            if entry.job.name in catalog and circuit is not None and circuit.group is not None:
                circuits[circuit.group] = self._states.is_circuit_open(entry.job.name)
        samples = [({"circuit": group}, is_open) for group, is_open in sorted(circuits.items())]
        return (Family(series.CIRCUIT_OPEN, write_samples(series.CIRCUIT_OPEN, samples)),)


class WatchdogSource:
    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """Return the gauges of the newest watchdog report."""
        if is_limited:
            return ()
        families = []
        for gauge, value in read_gauges(await self._watchdog.latest_report()):
            of, factor = series.watchdog_series(gauge), _MILLISECONDS if gauge.unit == "ms" else 1
            families.append(Family(of, write_samples(of, [({}, value / factor)])))
        return families


MAX_REFRESHED = 50
VALUES_AGE = timedelta(seconds=10)

_Samples = list[tuple[Mapping[str, str], float]]


@dataclass(frozen=True, slots=True)
class _Measured:
    """`counters`: None for an objective that counts time."""

    state: ObjectiveState
    counters: SliCounts | None


class ObjectiveSource:
    """Follows the source of jobs: the objective of a job without series has none either."""

    def __init__(self, selection: SeriesSelection, reader: ObjectiveReader, counters: ObjectiveCounters) -> None:
        self._selection = selection
        self._reader = reader
        self._counters = counters
        self._measured: dict[str, _Measured] = {}

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """Return the series of objectives. A caller that is limited gets the objectives of single jobs."""
        jobs = self._selection.jobs
        objectives = [each for each in self._reader.list_objectives() if not each.job or each.job in jobs]
        await self._refresh(objectives, now)
        seen = (each for each in objectives if not is_limited or _is_shown(each, catalog))
        return _make_families(self._measured[each.name] for each in seen if each.name in self._measured)

    async def _refresh(self, objectives: Sequence[NamedObjective], now: datetime) -> None:
        known = {each.name: each for each in objectives}
        self._counters.retain_only(set(known))
        self._measured = {
            name: each for name, each in self._measured.items() if known.get(name) == each.state.objective
        }
        for objective in sorted(objectives, key=self._last_read)[:MAX_REFRESHED]:
            measured = self._measured.get(objective.name)
            if measured is None or not timedelta() <= now - measured.state.until < VALUES_AGE:
                counts_runs = objective.definition.counts == "runs"
                self._measured[objective.name] = _Measured(
                    await self._reader.read_objective(objective),
                    await self._counters.read(objective, now) if counts_runs else None,
                )

    def _last_read(self, objective: NamedObjective) -> float:
        measured = self._measured.get(objective.name)
        return 0.0 if measured is None else measured.state.until.timestamp()


def _is_shown(objective: NamedObjective, catalog: Catalog) -> bool:
    return bool(objective.job) and objective.job in catalog and not catalog.has_hidden_past(objective.job)


def _make_families(measured: Iterable[_Measured]) -> Sequence[Family]:
    samples_of: dict[MetricSeries, _Samples] = {}
    for objective in measured:
        state, counters = objective.state, objective.counters
        labels = {"slo": state.objective.name, series.JOB_NAME: state.objective.job}
        target = round(1 - error_ratio_of(state.budget.target), 9)
        samples_of.setdefault(series.SLO_TARGET, []).append((labels, target))
        if counters is not None:
            samples_of.setdefault(series.SLO_VALID_RUNS, []).append((labels, counters.valid))
            samples_of.setdefault(series.SLO_BAD_RUNS, []).append((labels, counters.bad))
        if state.budget.remaining_ratio is not None:
            samples_of.setdefault(series.SLO_REMAINING, []).append((labels, state.budget.remaining_ratio))
        for window, rate in state.burn_rates.items():
            if rate is not None:
                named = {**labels, "window": format_duration(window.total_seconds())}
                samples_of.setdefault(series.SLO_BURN_RATE, []).append((named, rate))
    return [Family(metric, write_samples(metric, samples)) for metric, samples in samples_of.items()]


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
    """Return all sources in the order in which a page reads them: a source may use what an earlier one has read."""
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
