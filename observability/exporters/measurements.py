"""What a run adds to the metrics, the same for every destination. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobs.policies.telemetry import MetricDetail
from jobs.runs import Outcome, Run
from observability import names

_TAG_VALUES: dict[str, Callable[[Run], str]] = {
    names.TAG_JOB: lambda run: run.job,
    names.TAG_OUTCOME: lambda run: run.outcome.value,
    names.TAG_DEGRADED: lambda run: "true" if run.degraded else "false",
    names.TAG_TRIGGER: lambda run: run.trigger.value,
}


def measure_run(run: Run) -> Iterator[tuple[names.Metric, float]]:
    """Yield the values of the distributions; nothing for a skipped run."""
    if run.outcome is Outcome.SKIPPED:
        return
    yield names.DURATIONS, round(run.duration_ms, 3)
    if not run.trigger.is_rerun:
        # The due instant of a backfilled run is long ago, which is not lateness.
        yield names.LATENESSES, round(run.lateness_ms, 3)
    if run.response_time_ms is not None:
        yield names.RESPONSE_TIMES, round(run.response_time_ms, 3)
        yield names.ATTEMPT_COUNTS, float(len(run.attempts))


def count_run(run: Run) -> Iterator[tuple[names.Metric, int]]:
    """Yield what the run adds to the counts."""
    yield names.RUNS, 1
    if len(run.attempts) > 1:
        yield names.RETRIES, len(run.attempts) - 1


def find_tag_values(metric: names.Metric, run: Run, detail: MetricDetail = "all") -> dict[str, str]:
    """The metric's tags with the run's values; without the job for totals."""
    by_job = is_split_by_job(metric, detail)
    return {tag: _TAG_VALUES[tag](run) for tag in metric.tags if by_job or tag != names.TAG_JOB}


def is_split_by_job(metric: names.Metric, detail: MetricDetail) -> bool:
    """Whether the metric is split by job."""
    return detail == "all" or (detail == "job" and metric in _METRICS_SPLIT_BY_JOB)


_METRICS_SPLIT_BY_JOB = (names.RUNS, names.DURATIONS)
"""What `metrics: job` splits by job: how often, how long, and how it ended."""
