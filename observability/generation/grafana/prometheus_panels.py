"""Panels for Prometheus, as the dashboard needs them. Used by observability.generation.grafana.prometheus_dashboard
and observability.generation.grafana.prometheus_now.

Pure. All are about the jobs that the variables of the dashboard select.
"""

from __future__ import annotations

from collections.abc import Sequence

from observability.generation.grafana.panels import PanelDescription, PanelQuery
from observability.generation.grafana.promql import RATE_RANGE, per_job, quantile

SELECTED_JOBS = 'job_name=~"$job"'
"""The matcher of the selected jobs."""
_PERCENTILES = (0.5, 0.95, 0.99)


def make_stat(key: str, title: str, expression: str, description: str = "", **more: object) -> PanelDescription:
    """Return a number; by default it is red from 1 on. `more`: other fields of the panel."""
    return PanelDescription(
        key,
        "stat",
        title,
        (PanelQuery(expression),),
        description,
        **{"width": 4, "thresholds": ((1.0, "red"),), **more},  # type: ignore[arg-type]
    )


def make_lines(
    key: str, title: str, queries: Sequence[tuple[str, str]], unit: str, description: str = "", width: int = 12
) -> PanelDescription:
    """Return lines over time. `queries`: each with its legend."""
    found = tuple(PanelQuery(text, legend) for text, legend in queries)
    maximum = 1.0 if unit == "percentunit" else None
    return PanelDescription(key, "timeseries", title, found, description, unit, width, max_value=maximum)


def count_jobs(series: str, value: int = 1) -> str:
    """Return the number of jobs whose gauge has the value; 0 if no job has it."""
    return f"count({per_job(series, SELECTED_JOBS)} == {value}) or vector(0)"


def make_percentile_lines(key: str, title: str, histogram: str, selector: str, description: str) -> PanelDescription:
    """Return three percentiles of a histogram over time."""
    queries = [(quantile(share, histogram, RATE_RANGE, selector), f"p{share * 100:g}") for share in _PERCENTILES]
    return make_lines(key, title, queries, "s", description, 8)
