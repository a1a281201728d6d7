"""What a source of series returns, which jobs have series, and the text formats of Prometheus.

A page of tens of thousands of jobs takes longer to make than Prometheus waits, and the database of Prometheus pays for
each series. Jobs of files come first, so that a caller who stores jobs over the API does not end their series.

Both formats have the same lines of samples; the comments before a family differ:
https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/open_metrics_spec/
(1.0).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, Protocol

from observability.names import series
from observability.names.metrics import MetricSeries
from scheduler.catalog.catalog import Catalog, JobSnapshot

STEP_PAUSE: Final = 0.003
"""Seconds between two steps of a page of many jobs, see convert_each: due runs start in between without delay."""


@dataclass(frozen=True, slots=True)
class Family:
    """The samples of a series, each a line with its line break, as scheduler.metrics.families writes them."""

    series: MetricSeries
    lines: str


class SeriesSource(Protocol):
    """A part of the page."""

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """Return one family for each series that has samples.

        `catalog`: the jobs that the caller sees. `is_limited`: whether there may be others, so that nothing may be
        returned that concerns the whole program. Calls do not overlap. Raises StoreError.
        """
        ...


END = "# EOF\n"
"""The last line of OpenMetrics."""
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


class ExpositionFormat(Enum):
    """The values are media types."""

    CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
    OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def write_comments(series: MetricSeries, text_format: ExpositionFormat) -> str:
    """Return the lines before the samples of a series. OpenMetrics names a family without the suffix of its samples."""
    name, kind = series.name, series.kind
    if text_format is ExpositionFormat.CLASSIC:
        description = series.description.translate(_HELP_ESCAPES)
        return f"# HELP {name} {description}\n# TYPE {name} {'gauge' if kind == 'info' else kind}\n"
    family = name.removesuffix("_total") if kind == "counter" else name.removesuffix("_info")
    unit = f"# UNIT {family} {series.unit}\n" if series.unit else ""
    return f"# TYPE {family} {kind}\n{unit}# HELP {family} {series.description.translate(_ESCAPES)}\n"


def escape_label(value: str) -> str:
    """Return the value of a label between its quotation marks."""
    return value.translate(_ESCAPES)


def write_number(value: float) -> str:
    """Return a number that every reader understands: 3, 0.25, 1e-05."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def write_samples(series: MetricSeries, samples: Iterable[tuple[Mapping[str, str], float]]) -> str:
    """Return the lines of a gauge, a counter or an info: its labels and the value of each sample."""
    return "".join(f"{series.name}{_write_labels(labels)} {write_number(value)}\n" for labels, value in samples)


def _write_labels(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{escape_label(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


class SeriesSelection:
    """At most `max_jobs` jobs of the catalog of all jobs. It is chosen again after the jobs have changed."""

    def __init__(self, catalog: Catalog, max_jobs: int) -> None:
        self._catalog = catalog
        self._max_jobs = max_jobs
        self._chosen_from = catalog.snapshot
        self.jobs = JobSnapshot(())
        """The jobs of the last choice."""

    async def choose(self) -> JobSnapshot:
        """Return the jobs that have series."""
        snapshot = self._catalog.snapshot
        if len(snapshot) <= self._max_jobs:
            self.jobs = snapshot
        elif self._chosen_from is not snapshot or len(self.jobs) != self._max_jobs:
            self.jobs = await asyncio.to_thread(_choose, snapshot, self._max_jobs)
        self._chosen_from = snapshot
        return self.jobs


def _choose(snapshot: JobSnapshot, number: int) -> JobSnapshot:
    entries = sorted(snapshot, key=lambda entry: (entry.is_stored, entry.job.name))[:number]
    return JobSnapshot(entries, snapshot.loaded_at, snapshot.digest, snapshot.alerting)


class OmittedJobsSource:
    """Follows the source of jobs, which chooses them."""

    def __init__(self, selection: SeriesSelection) -> None:
        self._selection = selection

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """Return the number of jobs without series."""
        chosen = self._selection.jobs
        names = catalog.names()
        omitted = sum(name not in chosen for name in names) if is_limited else max(0, len(names) - len(chosen))
        return (Family(series.JOBS_OMITTED, write_samples(series.JOBS_OMITTED, [({}, omitted)])),)
