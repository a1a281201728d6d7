"""The jobs that are due in a cell. Pure. Called by scheduler.queries.forecast.reader."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

from jobs.definition import JobDefinition
from jobs.schedules import from_milliseconds
from scheduler.queries.forecast.counting import DueJob, ForecastCounts
from scheduler.queries.forecast.upcoming import iterate_runs

_JOBS_AT_ONCE = 100
"""Jobs after which the generator yields; some 0.3 ms."""


@dataclass(frozen=True, slots=True)
class CellJob:
    """A job with its runs in a cell."""

    due: DueJob
    spans: Sequence[tuple[int, int]]
    runs: int

    @property
    def job(self) -> JobDefinition:
        return self.due.job

    def list_first(self, count: int) -> list[datetime]:
        """Return its first runs in the cell."""
        runs = chain.from_iterable(iterate_runs(self.due, since, until) for since, until in self.spans)
        return [from_milliseconds(at) for at in islice(runs, count)]


def list_cell_jobs(counts: ForecastCounts, cell: int, *, only_rare: bool) -> Generator[None, None, Sequence[CellJob]]:
    """Return the jobs of a cell, the one with most runs first, by name among equals. `only_rare`: see DueJob."""
    spans = counts.grid.cells[cell].spans
    found: list[CellJob] = []
    for place, due in enumerate(counts.due):
        runs = 0 if only_rare and due.is_frequent else due.count_runs(spans)
        if runs:
            found.append(CellJob(due, spans, runs))
        if not place % _JOBS_AT_ONCE:
            yield
    return sorted(found, key=lambda each: (-each.runs, each.job.name))
