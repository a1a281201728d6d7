"""Which jobs have series. Called by the sources of scheduler.metrics.

A page of tens of thousands of jobs takes longer to make than Prometheus waits, and the database of Prometheus pays for
each series. Jobs of files come first, so that a caller who stores jobs over the API does not end their series.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from observability.names import series
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.metrics.families import Family
from scheduler.metrics.text import write_samples


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
        """See SeriesSource."""
        chosen = self._selection.jobs
        names = catalog.names()
        omitted = sum(name not in chosen for name in names) if is_limited else max(0, len(names) - len(chosen))
        return (Family(series.JOBS_OMITTED, write_samples(series.JOBS_OMITTED, [({}, omitted)])),)
