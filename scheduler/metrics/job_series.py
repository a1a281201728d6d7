"""The series of jobs. A source of scheduler.metrics.sources.

The text of each job is cached for each series, and is written again only when it changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from jobs.policies.telemetry import label_of_tag
from observability.names import series
from observability.names.catalogue import MetricSeries
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.metrics.families import STEP_PAUSE, Family
from scheduler.metrics.job_lines import (
    HISTOGRAM_SERIES,
    RUN_SERIES,
    STATE_SERIES,
    write_histograms,
    write_info,
    write_runs,
    write_state,
)
from scheduler.metrics.job_states import JobCondition, JobStateReader
from scheduler.metrics.run_facts import RunFactReader
from scheduler.metrics.selection import SeriesSelection
from scheduler.turns import convert_each

MAX_JOBS_WITH_HISTOGRAMS = 2000
"""With `auto`. Three histograms are 28 samples a job, more than all its other series."""
HistogramSetting = Literal["auto", "job", "none"]


@dataclass(slots=True)
class _JobLines:
    """`entry` and `state`: for which the lines were written."""

    entry: CatalogJob | None = None
    state: JobCondition | None = None
    info: str = ""
    states: Sequence[str] = ()
    runs: Sequence[str] = ()
    histograms: Sequence[str] | None = None


class JobSeriesSource:
    """`selection`: of all jobs; `tags`: those that are labels of scheduler_job_info.

    `max_age`: seconds for which pages of different callers share what was read.
    """

    def __init__(
        self,
        selection: SeriesSelection,
        runs: RunFactReader,
        states: JobStateReader,
        tags: Iterable[str] = (),
        histograms: HistogramSetting = "auto",
        max_age: float = 0.0,
    ) -> None:
        self._selection = selection
        self._runs = runs
        self._states = states
        self._labels = {tag: label_of_tag(tag) for tag in tags}
        self._histograms = histograms
        self._max_age = timedelta(seconds=max_age)
        self._read_at: tuple[JobSnapshot, datetime] | None = None
        """The jobs that were read last, and when."""
        self._lines: dict[str, _JobLines] = {}
        self._failed: set[str] = set()
        """Jobs with a run that did not succeed since the last read of the states."""

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """See SeriesSource."""
        snapshot = await self._selection.choose()
        if not self._is_current(snapshot, now):
            self._read_at = None
            await self._refresh(snapshot, now)
            self._read_at = snapshot, now
        if not is_limited:
            return await self._join(snapshot.names(), frozenset()) if len(snapshot) else []
        names = [name for name in catalog.names() if name in snapshot]
        hidden = frozenset(name for name in names if catalog.has_hidden_past(name))
        return await self._join(names, hidden) if names else []

    def _is_current(self, snapshot: JobSnapshot, now: datetime) -> bool:
        if self._read_at is None or self._read_at[0] is not snapshot:
            return False
        return timedelta() <= now - self._read_at[1] < self._max_age

    async def _refresh(self, snapshot: JobSnapshot, now: datetime) -> None:
        changed = await self._runs.refresh(snapshot.names(), now)
        self._forget_removed(snapshot.names())
        for job in changed:
            self._lines.setdefault(job, _JobLines()).runs = ()
        self._failed |= {job for job in changed if self._runs.has_failed(job)}
        states = await self._states.read(snapshot, self._failed, now)
        self._failed.clear()
        await convert_each(lambda entry: self._write(entry, states[entry.job.name]), snapshot, STEP_PAUSE)

    def _forget_removed(self, names: Sequence[str]) -> None:
        if len(self._lines) > len(names):
            existing = set(names)
            self._lines = {job: lines for job, lines in self._lines.items() if job in existing}

    def _write(self, entry: CatalogJob, state: JobCondition) -> None:
        job = entry.job.name
        lines = self._lines.setdefault(job, _JobLines())
        if lines.entry is not entry:
            tags = {label: entry.job.tags[tag] for tag, label in self._labels.items() if tag in entry.job.tags}
            lines.entry, lines.info = entry, write_info(job, entry.job.check.kind, tags)
        if lines.state != state:
            lines.state, lines.states = state, write_state(job, state)
        if not lines.runs:
            lines.runs, lines.histograms = write_runs(job, self._runs.find(job)), None

    async def _join(self, names: Sequence[str], hidden: Set[str]) -> list[Family]:
        """Return the families of these jobs. `hidden`: those whose counts begin before their caller sees the job."""
        lines = [self._lines[name] for name in names]
        families = [Family(series.JOB_INFO, "".join([each.info for each in lines]))]
        counted = [name for name in names if name not in hidden]
        columns: list[tuple[Sequence[MetricSeries], Sequence[Sequence[str]]]] = [
            (STATE_SERIES, [self._show_states(name, name in hidden) for name in names]),
            (RUN_SERIES, [self._lines[name].runs for name in counted]),
        ]
        if self._has_histograms():
            columns.append(
                (
                    HISTOGRAM_SERIES,
                    await convert_each(self._find_histograms, counted, STEP_PAUSE),
                )
            )
        for kinds, rows in columns:
            families += await convert_each(partial(_join_column, rows), enumerate(kinds), STEP_PAUSE)
        return families

    def _show_states(self, job: str, is_hidden: bool) -> Sequence[str]:
        states = self._lines[job].states
        if not is_hidden:
            return states
        return [
            "" if kind is series.JOB_DEAD_LETTERS else text for kind, text in zip(STATE_SERIES, states, strict=True)
        ]

    def _has_histograms(self) -> bool:
        return self._histograms == "job" or (
            self._histograms == "auto" and len(self._selection.jobs) <= MAX_JOBS_WITH_HISTOGRAMS
        )

    def _find_histograms(self, job: str) -> Sequence[str]:
        lines = self._lines[job]
        if lines.histograms is None:
            lines.histograms = write_histograms(job, self._runs.find(job))
        return lines.histograms


def _join_column(rows: Sequence[Sequence[str]], column: tuple[int, MetricSeries]) -> Family:
    place, kind = column
    return Family(kind, "".join([row[place] for row in rows]))
