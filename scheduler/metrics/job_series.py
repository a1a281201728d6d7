"""The series of jobs. The text of each job is cached for each series, and is written again only when it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import log
from typing import Final, Literal

from jobs.policies.execution import label_of_tag
from jobs.runs import Outcome
from jobs.runs.histogram import GROWTH, Histogram, upper_edge
from observability.names import series
from observability.names.metrics import MetricSeries
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.metrics.families import STEP_PAUSE, Family, SeriesSelection, escape_label, write_number
from scheduler.metrics.job_facts import JobCondition, JobStateReader, RunFactReader, RunFacts
from scheduler.stores.runs.rollups.tally import Tally
from scheduler.turns import convert_each

STATE_SERIES: Final = (
    series.UP,
    series.DEGRADED,
    series.PAUSED,
    series.INCIDENT_OPEN,
    series.CIRCUIT_OPEN_OF_JOB,
    series.JOB_DEAD_LETTERS,
    series.NEXT_RUN,
    series.JOB_INTERVAL,
)
RUN_SERIES: Final = (
    series.BLIND,
    series.UNKNOWN,
    series.LAST_RUN,
    series.LAST_SUCCESS,
    series.LAST_DURATION,
    series.CERTIFICATE_EXPIRY,
    series.RUNS_TOTAL,
    series.ATTEMPTS_TOTAL,
    series.RETRIED_TOTAL,
    series.DEGRADED_TOTAL,
)
HISTOGRAM_SERIES: Final = (series.DURATION_SECONDS, series.RESPONSE_TIME_SECONDS, series.LATENESS_SECONDS)
_COUNTED_FROM_ZERO = (Outcome.SUCCEEDED, Outcome.FAILED)
"""Outcomes with a counter before the first such run. Others appear with their first run."""


def _nearest_buckets(*seconds: float) -> list[tuple[int, str]]:
    """Return the bucket whose upper edge is nearest to each number of seconds, and that edge as text.

    The edges of stored buckets are the bounds, so that the counts are exact.
    """
    buckets = [round(log(each * 1_000_000) / log(GROWTH)) for each in seconds]
    return [(bucket, f"{upper_edge(bucket) / 1000:.6g}") for bucket in buckets]


BOUNDS: Final = {
    series.DURATION_SECONDS: _nearest_buckets(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    series.RESPONSE_TIME_SECONDS: _nearest_buckets(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    series.LATENESS_SECONDS: _nearest_buckets(0.1, 0.5, 1, 5, 15, 60),
}
"""Buckets of jobs.runs.histogram, each with its upper bound in seconds."""


def write_info(job: str, kind: str, tags: Mapping[str, str]) -> str:
    """`tags`: values by label name."""
    more = "".join(f',{label}="{escape_label(value)}"' for label, value in sorted(tags.items()))
    return f'{series.JOB_INFO.name}{{job_name="{job}",kind="{kind}"{more}}} 1\n'


def write_state(job: str, state: JobCondition) -> list[str]:
    """Return a text for each of STATE_SERIES; empty if it has no value."""
    values = (
        state.is_up,
        state.is_degraded,
        state.is_paused,
        state.has_incident,
        state.is_circuit_open,
        state.dead_letters or None,
        state.next_run,
        state.interval,
    )
    return [_write_line(each, job, value) for each, value in zip(STATE_SERIES, values, strict=True)]


def write_runs(job: str, facts: RunFacts) -> list[str]:
    """Return a text for each of RUN_SERIES. A job without a run has counters, which are 0."""
    last, counts = facts.last, facts.counts or Tally()
    return [
        _write_line(series.BLIND, job, None if last is None else last.is_blind),
        _write_line(series.UNKNOWN, job, None if last is None else last.is_unknown),
        _write_line(series.LAST_RUN, job, None if last is None else last.finished_at),
        _write_line(series.LAST_SUCCESS, job, None if last is None else last.last_success),
        _write_line(series.LAST_DURATION, job, None if last is None else last.duration),
        _write_line(series.CERTIFICATE_EXPIRY, job, None if last is None else last.certificate_expiry),
        "".join(
            f'{series.RUNS_TOTAL.name}{{job_name="{job}",outcome="{outcome}"}} {count}\n'
            for outcome in Outcome
            if (count := counts.count(outcome)) or outcome in _COUNTED_FROM_ZERO
        ),
        _write_line(series.ATTEMPTS_TOTAL, job, counts.attempts),
        _write_line(series.RETRIED_TOTAL, job, counts.retried),
        _write_line(series.DEGRADED_TOTAL, job, counts.degraded),
    ]


def write_histograms(job: str, facts: RunFacts) -> list[str]:
    """Return a text for each of HISTOGRAM_SERIES."""
    counts = facts.counts or Tally()
    return [_write_histogram(each, job, read(counts)) for each, read in zip(HISTOGRAM_SERIES, _HISTOGRAMS, strict=True)]


_HISTOGRAMS: Final[tuple[Callable[[Tally], Histogram], ...]] = (
    lambda counts: counts.duration,
    lambda counts: counts.response_time,
    lambda counts: counts.lateness,
)


def _write_line(of: MetricSeries, job: str, value: float | None) -> str:
    return "" if value is None else f'{of.name}{{job_name="{job}"}} {write_number(value)}\n'


def _write_histogram(of: MetricSeries, job: str, histogram: Histogram) -> str:
    bounds, name, total = BOUNDS[of], of.name, histogram.total
    start = f'{name}_bucket{{job_name="{job}",le="'
    reached = histogram.accumulate([bucket for bucket, _ in bounds])
    lines = [f'{start}{bound}"}} {count}\n' for (_, bound), count in zip(bounds, reached, strict=True)]
    seconds = write_number(round(histogram.sum_ms / 1000, 6))
    return (
        f'{"".join(lines)}{start}+Inf"}} {total}\n'
        f'{name}_sum{{job_name="{job}"}} {seconds}\n{name}_count{{job_name="{job}"}} {total}\n'
    )


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
        """Return the series of the jobs that the caller sees."""
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
