"""Queries about the scheduler itself: its gauges, its log events, missing data, and the metrics of the program.

Metrics of circuits, incidents, notifications and telemetry are always sent, whatever the settings of telemetry are.
"""

from __future__ import annotations

from observability import names
from observability.generation.kql.runs import QueryScope, pipe, quote, quote_list, read_property, where

GAUGE_PREFIX = "scheduler.watchdog."
TICK_GAP, QUEUE_AGE, QUEUE_DEPTH = "tick_gap", "queue_age", "queue_depth"
POISON_DEPTH, DEAD_LETTERS, SILENT_JOBS, LATE_JOBS = "poison_depth", "dead_letters", "silent_jobs", "late_jobs"
"""Names of scheduler.watchdog.report, which this package cannot import; a test compares them."""

_WARNING_LEVEL = 2
"""`severityLevel` of a warning."""


def chart_gauges(scope: QueryScope, *gauges: str) -> str:
    """The highest value of gauges over time, by gauge. One process sends each of them once a minute."""
    return pipe(
        _select_gauges(scope, gauges),
        f"summarize Value = max(valueMax) by Gauge, bin(timestamp, {scope.step})",
        "project timestamp, Gauge, Value",
        "order by timestamp asc",
    )


def read_gauges(scope: QueryScope, *gauges: str) -> str:
    """The newest value of gauges, one row each."""
    return pipe(
        _select_gauges(scope, gauges),
        "summarize arg_max(timestamp, valueMax) by Gauge",
        "project Gauge, Value = valueMax, timestamp",
        "order by Gauge asc",
    )


def find_high_gauge(scope: QueryScope, gauge: str, limit: float) -> str:
    """One row if the newest value of a gauge exceeds the limit."""
    return pipe(read_gauges(scope, gauge), f"where Value > {limit:g}")


def find_missing_gauges(scope: QueryScope) -> str:
    """One row if no gauge has arrived, hence no tick was measured.

    A count without `by` has a row even if there is nothing to count. An alert on few rows would depend on how the
    service evaluates a query without any.
    """
    gauges = pipe(
        "customMetrics",
        where(scope.time),
        where(f"name == {quote(GAUGE_PREFIX + TICK_GAP)}"),
        where(scope.roles),
        "project timestamp",
    )
    return pipe(
        gauges,
        "summarize Received = count(), Latest = max(timestamp)",
        "where Received == 0",
    )


def find_log_event(scope: QueryScope, event: str) -> str:
    """The lines of a log event, newest first."""
    return pipe(_select_log_event(scope, event), "project timestamp, message, severityLevel", "order by timestamp desc")


def find_unhealthy_parts(scope: QueryScope) -> str:
    """The parts of health whose latest report is a warning: it is logged once for each change."""
    return pipe(
        _select_log_event(scope, names.WATCHDOG),
        f"extend {names.PART} = {read_property(names.PART)}",
        f"summarize arg_max(timestamp, severityLevel, message) by {names.PART}",
        f"where severityLevel >= {_WARNING_LEVEL}",
        f"project {names.PART}, timestamp, message",
    )


def list_roles(time: str) -> str:
    """The deployments that share the component: cloud role as `value`, environment as `label`. For a parameter."""
    return (
        "let Environments = "
        + pipe(
            "traces",
            where(time),
            f"extend {names.ENVIRONMENT} = {read_property(names.ENVIRONMENT)}",
            f"where isnotempty({names.ENVIRONMENT})",
            f"summarize arg_max(timestamp, {names.ENVIRONMENT}) by cloud_RoleName",
        )
        + ";\n"
        + pipe(
            "union customEvents, customMetrics",
            where(time),
            f"where name startswith {quote(GAUGE_PREFIX)} or name == {quote(names.RUN_EVENT.name)}",
            "summarize by cloud_RoleName",
            "join kind=leftouter Environments on cloud_RoleName",
            f"project value = cloud_RoleName, label = iff(isempty({names.ENVIRONMENT}), cloud_RoleName, "
            f'strcat({names.ENVIRONMENT}, " (", cloud_RoleName, ")"))',
            "order by label asc",
        )
    )


def _select_gauges(scope: QueryScope, gauges: tuple[str, ...]) -> str:
    return pipe(
        "customMetrics",
        where(scope.time),
        where(f"name in ({quote_list(GAUGE_PREFIX + gauge for gauge in gauges)})"),
        where(scope.roles),
        f"extend Gauge = substring(name, {len(GAUGE_PREFIX)})",
    )


def _select_log_event(scope: QueryScope, event: str) -> str:
    return pipe(
        "traces", where(scope.time), where(scope.roles), where(f"{read_property(names.EVENT)} == {quote(event)}")
    )


def chart_counts(scope: QueryScope, metric: names.Metric) -> str:
    """A count over time, by the tags of the metric."""
    tags = ', " ", '.join(read_property(tag) for tag in metric.tags)
    series = f"strcat({tags})" if tags else "name"
    return pipe(
        _select(scope, metric),
        f"summarize Value = sum(valueSum) by Series = {series}, bin(timestamp, {scope.step})",
        "project timestamp, Series, Value",
        "order by timestamp asc",
    )


def chart_program_gauges(scope: QueryScope, *metrics: names.Metric) -> str:
    """The highest value of gauges over time, by name and tags."""
    tags = dict.fromkeys(tag for metric in metrics for tag in metric.tags)
    series = "".join(f', " ", {read_property(tag)}' for tag in tags)
    return pipe(
        _select(scope, *metrics),
        f'summarize Value = max(valueMax) by Series = trim(" +", strcat(name{series})), bin(timestamp, {scope.step})',
        "project timestamp, Series, Value",
        "order by timestamp asc",
    )


def find_counted(scope: QueryScope, metric: names.Metric) -> str:
    """One row if the metric has counted anything. For an alert."""
    return pipe(_select(scope, metric), "summarize Value = sum(valueSum), Latest = max(timestamp)", "where Value > 0")


def _select(scope: QueryScope, *metrics: names.Metric) -> str:
    return pipe(
        "customMetrics",
        where(scope.time),
        where(f"name in ({quote_list(metric.name for metric in metrics)})"),
        where(scope.roles),
    )
