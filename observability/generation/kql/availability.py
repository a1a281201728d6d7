"""Queries about availability, and jobs that do not run any more. Called by the generators of Azure and Grafana."""

from __future__ import annotations

from collections.abc import Iterable

from observability import names
from observability.exporters.measurements import METRIC_WINDOW_S
from observability.generation.core.portfolio import PortfolioJob
from observability.generation.kql.scope import QueryScope
from observability.generation.kql.text import (
    format_seconds,
    make_table,
    pipe,
    quote,
    read_property,
    where,
)
from observability.sampling import SAMPLE_INTERVAL

INGESTION_S = 300.0
"""Seconds until a row can be found: its way through the exporter and the intake."""

JOB = names.JOB_NAME


def select_availability(scope: QueryScope) -> str:
    """Return the rows of availability, with a column for the job."""
    return pipe(
        "availabilityResults",
        where(scope.time),
        where(scope.roles),
        f"extend {JOB} = name",
        where(scope.jobs),
    )


def list_availability(scope: QueryScope) -> str:
    """The availability of each job in percent. Azure's own metric divides numbers of rows, which represent several."""
    return pipe(
        select_availability(scope),
        f"summarize Runs = sum(itemCount), Availability = {_SHARE} by {JOB}",
        "order by Availability asc",
    )


def chart_availability(scope: QueryScope) -> str:
    """The availability of all selected jobs together over time."""
    return pipe(
        select_availability(scope),
        f"summarize Availability = {_SHARE} by bin(timestamp, {scope.step})",
        "order by timestamp asc",
    )


_SHARE = "100.0 * sumif(itemCount, tobool(success)) / sum(itemCount)"


def find_silence_limit(job: PortfolioJob) -> float | None:
    """Return the seconds without a run after which a job is silent: twice its interval, and what its rows are delayed.

    None if it has no interval, or no rows from which its latest run is known.
    """
    if job.interval_s is None:
        return None
    delays = []
    if job.reporting.events == "all" or job.reporting.availability == "all":
        delays.append(0.0)
    if job.reporting.metrics in ("all", "job"):
        delays.append(METRIC_WINDOW_S)
    if "failures" in (job.reporting.events, job.reporting.availability):
        delays.append(SAMPLE_INTERVAL.total_seconds())
    return 2 * job.interval_s + INGESTION_S + min(delays) if delays else None


def list_silent_jobs(scope: QueryScope, limits: Iterable[tuple[str, float]]) -> str:
    """The jobs whose latest run is older than their limit, or that have none in the scope. `limits`: seconds by job."""
    rows = ((quote(job), format_seconds(limit)) for job, limit in limits)
    return (
        f"let Limits = {make_table({JOB: 'string', 'Limit': 'timespan'}, rows)};\n"
        f"let Latest = {_select_latest(scope)};\n"
        + pipe(
            "Limits",
            where(scope.jobs),
            f"where isnotempty({JOB})",
            f"join kind=leftouter Latest on {JOB}",
            "where isnull(LatestRun) or LatestRun < now() - Limit",
            f"project {JOB}, LatestRun, Silence = now() - LatestRun, Limit",
            "order by LatestRun asc",
        )
    )


def _select_latest(scope: QueryScope) -> str:
    """Return the latest run of each job, from whichever rows it has."""
    events = pipe(
        "customEvents",
        where(scope.time),
        where(f"name == {quote(names.RUN_EVENT.name)}"),
        where(scope.roles),
        f"project timestamp, {JOB} = {read_property(names.JOB_NAME)}",
    )
    metrics = pipe(
        "customMetrics",
        where(scope.time),
        where(f"name == {quote(names.RUNS.name)}"),
        where(scope.roles),
        f"project timestamp, {JOB} = {read_property(names.TAG_JOB)}",
    )
    rows = pipe("availabilityResults", where(scope.time), where(scope.roles), f"project timestamp, {JOB} = name")
    return pipe(f"union ({events}), ({metrics}), ({rows})", f"summarize LatestRun = max(timestamp) by {JOB}")
