"""The lines of one job on the page, one text for each series. Pure. Called by scheduler.metrics.job_series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log
from typing import Final

from jobs.runs import Outcome
from jobs.runs.histogram import GROWTH, Histogram, upper_edge
from observability.names import series
from observability.names.catalogue import MetricSeries
from scheduler.metrics.job_states import JobCondition
from scheduler.metrics.run_facts import RunFacts
from scheduler.metrics.text import escape_label, write_number
from scheduler.stores.runs.rollups.tally import Tally

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
