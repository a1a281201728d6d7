"""What a run adds to the metrics, the same for every destination.

Also as instruments of OpenTelemetry, and gathered for some minutes: Application Insights bills each row of a metric,
and a metric by job has one for each job and export. Five minutes are what its charts show as one point.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from jobs.policies.execution import MetricDetail
from jobs.runs import Outcome, Run
from observability import names
from observability.events import Measurement

if TYPE_CHECKING:
    from opentelemetry.metrics import Observation

_TAG_VALUES: dict[str, Callable[[Run], str]] = {
    names.TAG_JOB: lambda run: run.job,
    names.TAG_OUTCOME: lambda run: run.outcome.value,
    names.TAG_REASON: lambda run: "" if run.reason is None else run.reason.value,
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
    if run.attempts:
        if not run.attempts[-1].starved:
            yield names.RESPONSE_TIMES, round(run.attempts[-1].phases.total_ms, 3)
        yield names.ATTEMPT_COUNTS, float(len(run.attempts))


def count_run(run: Run) -> Iterator[tuple[names.Metric, int]]:
    """Yield what the run adds to the counts."""
    yield names.RUNS, 1
    if len(run.attempts) > 1:
        yield names.RETRIES, len(run.attempts) - 1


def find_tag_values(metric: names.Metric, run: Run, detail: MetricDetail = "all") -> dict[str, str]:
    """The metric's tags that have a value for the run; without the job for totals."""
    by_job = is_split_by_job(metric, detail)
    tags = (tag for tag in metric.tags if by_job or tag != names.TAG_JOB)
    return {tag: value for tag in tags if (value := _TAG_VALUES[tag](run))}


def is_split_by_job(metric: names.Metric, detail: MetricDetail) -> bool:
    """Whether the metric is split by job."""
    return detail == "all" or (detail == "job" and metric in _METRICS_SPLIT_BY_JOB)


_METRICS_SPLIT_BY_JOB = (names.RUNS, names.DURATIONS)
"""What `metrics: job` splits by job: how often, how long, and how it ended."""


_Tags = tuple[tuple[str, str], ...]


class Instruments:
    """`meter`: OpenTelemetry's meter, whose provider collects the values."""

    def __init__(self, meter: Any) -> None:
        self._gauges = GaugeValues(meter)
        self._counts = {
            metric: meter.create_counter(metric.name, metric.unit, metric.description)
            for metric in names.METRICS
            if metric.kind == "count"
        }
        self._histograms = {
            metric: meter.create_histogram(metric.name, metric.unit, metric.description)
            for metric in names.METRICS
            if metric.kind == "distribution"
        }

    def record(self, metric: names.Metric, value: float, tags: dict[str, str]) -> None:
        """Add to a count, or to a distribution."""
        if metric.kind == "count":
            self._counts[metric].add(int(value), tags)
        else:
            self._histograms[metric].record(value, tags)

    def record_measurement(self, measured: Measurement) -> None:
        """Add what the program has measured about itself, and set its gauges."""
        metric, tags = measured.metric, dict(measured.tags)
        if metric.kind == "gauge":
            self._gauges.set(metric, tags, measured.values[-1])
            return
        for value in measured.values:
            self.record(metric, value, tags)


class GaugeValues:
    """Sends each value once: the SDK's plain gauge would repeat the last one without end, also without ticks or when
    another instance ticks. `meter`: of OpenTelemetry.
    """

    def __init__(self, meter: Any) -> None:
        self._meter = meter
        self._values: dict[names.Metric, dict[_Tags, float]] = {}

    def set(self, metric: names.Metric, tags: Mapping[str, str], value: float) -> None:
        """Send this value with the next export."""
        if metric not in self._values:
            self._values[metric] = {}
            callbacks = [partial(self._observe, metric)]
            self._meter.create_observable_gauge(metric.name, callbacks, metric.unit, metric.description)
        self._values[metric][tuple(tags.items())] = value

    def _observe(self, metric: names.Metric, options: object) -> list[Observation]:
        from opentelemetry.metrics import Observation

        values, self._values[metric] = self._values[metric], {}
        return [Observation(value, dict(tags)) for tags, value in values.items()]


METRIC_WINDOW_S: Final = 300.0

Tags = tuple[tuple[str, str], ...]


class MetricWindow:
    """Values by metric and tags, until the window ends: at the full five minutes of the clock."""

    def __init__(self, seconds: float = METRIC_WINDOW_S, now: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._now = now
        self._values: dict[tuple[names.Metric, Tags], list[float]] = defaultdict(list)
        self._ends_at = 0.0

    def add(self, metric: names.Metric, value: float, tags: dict[str, str]) -> None:
        if not self._values:
            self._ends_at = (self._now() // self._seconds + 1) * self._seconds
        self._values[metric, tuple(sorted(tags.items()))].append(value)

    def ends_in(self) -> float | None:
        """Return the seconds until it ends, never below zero; None while it is empty."""
        return max(0.0, self._ends_at - self._now()) if self._values else None

    def drain(self) -> Iterator[tuple[names.Metric, float, dict[str, str]]]:
        """Give everything that was added, one by one, and begin anew."""
        values, self._values = self._values, defaultdict(list)
        for (metric, tags), numbers in values.items():
            for number in numbers:
                yield metric, number, dict(tags)
