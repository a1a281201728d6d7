"""Queries about the metrics of the program itself: circuits, incidents, notifications, telemetry. Called by the
generators of Azure and Grafana.

They are always sent, whatever the settings of telemetry are.
"""

from __future__ import annotations

from observability import names
from observability.generation.kql.scope import QueryScope
from observability.generation.kql.text import pipe, quote_list, read_property, where


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
