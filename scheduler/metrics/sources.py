"""The sources of series, in the order in which they are read. Called by scheduler.app.watch_setup.

A new source is a module here and a line in `create_sources`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scheduler.catalog.catalog import Catalog
from scheduler.features.circuits.queries import CircuitQueries
from scheduler.features.objectives.queries import ObjectiveCounters, ObjectiveReader
from scheduler.metrics.families import SeriesSource
from scheduler.metrics.job_series import HistogramSetting, JobSeriesSource
from scheduler.metrics.job_states import JobStateReader, StatesOf
from scheduler.metrics.objective_series import ObjectiveSource
from scheduler.metrics.program_series import (
    BuildSource,
    CircuitSource,
    IncidentSource,
    NotificationSource,
    WatchdogSource,
)
from scheduler.metrics.run_facts import RunFactReader
from scheduler.metrics.selection import OmittedJobsSource, SeriesSelection
from scheduler.stores.pauses import Pauses
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs
from scheduler.watchdog import Watchdog


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
