"""The metrics that exporters send. Re-exported by observability.names."""

from __future__ import annotations

from typing import Final, Protocol

from observability.names.catalogue import Metric
from observability.names.tags import TAG_DEGRADED, TAG_JOB, TAG_OUTCOME, TAG_TRIGGER

RUNS: Final = Metric(
    "scheduler.job.runs", "Finished runs.", "", "count", (TAG_JOB, TAG_OUTCOME, TAG_DEGRADED, TAG_TRIGGER)
)
DURATIONS: Final = Metric(
    "scheduler.job.duration", "Duration of finished runs.", "ms", "distribution", (TAG_JOB, TAG_OUTCOME)
)
RESPONSE_TIMES: Final = Metric(
    "scheduler.job.response_time", "Duration of the last attempt.", "ms", "distribution", (TAG_JOB, TAG_OUTCOME)
)
LATENESSES: Final = Metric("scheduler.job.lateness", "Start minus due instant.", "ms", "distribution", (TAG_JOB,))
ATTEMPT_COUNTS: Final = Metric("scheduler.job.attempts", "Attempts of a run.", "", "distribution", (TAG_JOB,))
DEAD_LETTERS: Final = Metric("scheduler.job.dead_letters", "Runs given up.", "", "count", (TAG_JOB,))

METRICS: Final = (RUNS, DURATIONS, RESPONSE_TIMES, LATENESSES, ATTEMPT_COUNTS, DEAD_LETTERS)
"""The metrics of runs. The gauges: scheduler.watchdog.gauges."""


class GaugeDeclaration(Protocol):
    """A gauge of the watchdog, as scheduler.watchdog.gauges declares it."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def unit(self) -> str: ...


def gauge_metric(gauge: GaugeDeclaration) -> Metric:
    """Return the metric of a gauge."""
    return Metric(f"scheduler.watchdog.{gauge.name}", gauge.description, gauge.unit, "gauge")
