"""The series of `GET /api/metrics`, in the order of the page. Called by scheduler.metrics, which serves no others.

Names follow https://prometheus.io/docs/practices/naming/. The label of a job is `job_name`, because Prometheus adds a
label `job` to everything that it scrapes.
"""

from __future__ import annotations

from typing import Final, Literal

from observability.names.metrics import GaugeDeclaration, MetricSeries

JOB_NAME: Final = "job_name"

BUILD_INFO: Final = MetricSeries("scheduler_build_info", "The version of the program.", "", "info", ("version",))
JOB_INFO: Final = MetricSeries(
    "scheduler_job_info",
    "One for each job, with its kind and the tags of prometheus.tags as labels.",
    "",
    "info",
    (JOB_NAME, "kind"),
)


def _job_gauge(name: str, description: str, unit: str = "") -> MetricSeries:
    return MetricSeries(f"scheduler_job_{name}", description, unit, "gauge", (JOB_NAME,))


def _job_counter(name: str, description: str, *labels: str) -> MetricSeries:
    return MetricSeries(f"scheduler_job_{name}_total", description, "", "counter", (JOB_NAME, *labels))


def _job_histogram(name: str, description: str) -> MetricSeries:
    return MetricSeries(f"scheduler_job_{name}_seconds", description, "seconds", "histogram", (JOB_NAME,))


def _slo_series(name: str, description: str, kind: Literal["gauge", "counter"] = "gauge", *labels: str) -> MetricSeries:
    return MetricSeries(f"scheduler_slo_{name}", description, "", kind, ("slo", JOB_NAME, *labels))


UP: Final = _job_gauge("up", "1 if the target is up or degraded, 0 if it is down; absent while that is unknown.")
DEGRADED: Final = _job_gauge("degraded", "1 if the target is up, but an expectation of severity degraded fails.")
BLIND: Final = _job_gauge("blind", "1 if the last run was skipped because the scheduler could not reach anything.")
UNKNOWN: Final = _job_gauge("unknown", "1 if the last run could not tell the state of the target.")
PAUSED: Final = _job_gauge("paused", "1 if the job is paused or disabled.")
INCIDENT_OPEN: Final = _job_gauge("incident_open", "1 if an alert of the job fires in an open incident.")
CIRCUIT_OPEN_OF_JOB: Final = _job_gauge(
    "circuit_open", "1 if the circuit of the job rejects runs, or admits probes only; absent without a circuit."
)
JOB_DEAD_LETTERS: Final = _job_gauge("dead_letters", "Stored dead letters of the job; absent without any.")
LAST_RUN: Final = _job_gauge("last_run_timestamp_seconds", "When the last run finished.", "seconds")
LAST_SUCCESS: Final = _job_gauge("last_success_timestamp_seconds", "When the last succeeded run finished.", "seconds")
LAST_DURATION: Final = _job_gauge("last_run_duration_seconds", "Duration of the last run.", "seconds")
NEXT_RUN: Final = _job_gauge(
    "next_run_timestamp_seconds", "When the next run is due; absent if none is planned.", "seconds"
)
JOB_INTERVAL: Final = _job_gauge("interval_seconds", "Time between the next two due instants.", "seconds")
CERTIFICATE_EXPIRY: Final = _job_gauge(
    "certificate_expiry_timestamp_seconds",
    "When the certificate that the target showed to the last run expires.",
    "seconds",
)
RUNS_TOTAL: Final = _job_counter("runs", "Finished runs.", "outcome")
ATTEMPTS_TOTAL: Final = _job_counter("attempts", "Attempts of finished runs.")
RETRIED_TOTAL: Final = _job_counter("retried_runs", "Runs with more than one attempt.")
DEGRADED_TOTAL: Final = _job_counter("degraded_runs", "Runs that succeeded degraded.")
DURATION_SECONDS: Final = _job_histogram(
    "duration", "Duration of runs with an attempt, waits between attempts included."
)
RESPONSE_TIME_SECONDS: Final = _job_histogram("response_time", "Duration of the last attempt of runs.")
LATENESS_SECONDS: Final = _job_histogram("lateness", "Start minus due instant of runs.")

INCIDENTS_OPEN: Final = MetricSeries(
    "scheduler_incidents_open", "Open incidents by severity; absent without any.", labels=("severity",)
)
PENDING_NOTIFICATIONS: Final = MetricSeries(
    "scheduler_notifications_pending", "Notifications that wait for their delivery."
)
UNDELIVERED_NOTIFICATIONS: Final = MetricSeries(
    "scheduler_notifications_undelivered", "Notifications that no channel could deliver."
)
JOBS_OMITTED: Final = MetricSeries(
    "scheduler_jobs_without_series", "Jobs that have no series, because more jobs exist than prometheus.max_jobs."
)
CIRCUIT_OPEN: Final = MetricSeries(
    "scheduler_circuit_open",
    "1 if a circuit that jobs share rejects runs, or admits probes only.",
    labels=("circuit",),
)

SLO_TARGET: Final = _slo_series("target_ratio", "The share of runs, or of time, that must be good: 0.999 for 99.9%.")
SLO_VALID_RUNS: Final = _slo_series(
    "valid_runs_total",
    "Runs that count for an objective since the beginning of the year, without excluded ones.",
    "counter",
)
SLO_BAD_RUNS: Final = _slo_series("bad_runs_total", "Those of them that are bad.", "counter")
SLO_REMAINING: Final = _slo_series(
    "error_budget_remaining_ratio", "The share of the error budget that is left; negative if it is exhausted."
)
SLO_BURN_RATE: Final = _slo_series(
    "burn_rate",
    "How many times as fast as allowed the error budget is consumed in a window up to now.",
    "gauge",
    "window",
)

SERIES: Final = (
    BUILD_INFO,
    JOB_INFO,
    UP,
    DEGRADED,
    BLIND,
    UNKNOWN,
    PAUSED,
    INCIDENT_OPEN,
    CIRCUIT_OPEN_OF_JOB,
    JOB_DEAD_LETTERS,
    LAST_RUN,
    LAST_SUCCESS,
    LAST_DURATION,
    NEXT_RUN,
    JOB_INTERVAL,
    CERTIFICATE_EXPIRY,
    RUNS_TOTAL,
    ATTEMPTS_TOTAL,
    RETRIED_TOTAL,
    DEGRADED_TOTAL,
    DURATION_SECONDS,
    RESPONSE_TIME_SECONDS,
    LATENESS_SECONDS,
    INCIDENTS_OPEN,
    PENDING_NOTIFICATIONS,
    UNDELIVERED_NOTIFICATIONS,
    JOBS_OMITTED,
    CIRCUIT_OPEN,
    SLO_TARGET,
    SLO_VALID_RUNS,
    SLO_BAD_RUNS,
    SLO_REMAINING,
    SLO_BURN_RATE,
)
"""Those of the watchdog follow: see `watchdog_series`."""


def watchdog_series(gauge: GaugeDeclaration) -> MetricSeries:
    """Return the series of a gauge of scheduler.watchdog.report; milliseconds are given in seconds."""
    unit = "seconds" if gauge.unit in ("s", "ms") else ""
    name = f"scheduler_watchdog_{gauge.name}{f'_{unit}' if unit else ''}"
    return MetricSeries(name, gauge.description.replace("`", ""), unit)
