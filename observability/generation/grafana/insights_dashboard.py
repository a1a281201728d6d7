"""The dashboard for Application Insights, by the data source Azure Monitor. Called by
observability.generation.grafana.target.

Its queries are those of the workbook (observability.generation.kql), with the variables of Grafana.
"""

from __future__ import annotations

from collections.abc import Iterable

from observability import names
from observability.generation.document import GeneratedDocument
from observability.generation.grafana.panels import (
    DashboardDescription,
    DashboardVariable,
    PanelDescription,
    PanelKind,
    PanelQuery,
    PanelRow,
    make_dashboard_document,
)
from observability.generation.kql import objectives, runs, scheduler
from observability.generation.kql.text import QueryScope, pipe, quote
from observability.generation.portfolio import Portfolio

SOURCE_TYPE = "grafana-azure-monitor-datasource"
RESOURCE = "resource"
"""The variable with the id of the component."""

_ANY_JOB = quote("*")
"""In place of the names of jobs if all are selected: a list of 10,000 names would be too long for a query."""
_PERCENTILES = ("50", "95", "99")


def make_insights_dashboard(portfolio: Portfolio) -> GeneratedDocument:
    """Return the dashboard."""
    scope = QueryScope(
        time="$__timeFilter(timestamp)",
        step="$__interval",
        roles=f"cloud_RoleName == {quote(portfolio.service)}",
        jobs=f"({_ANY_JOB} in ($job) or {names.JOB_NAME} in ($job))",
    )
    rows = (
        PanelRow("Overview", _overview_panels(scope)),
        PanelRow("Durations", _duration_panels(scope)),
        PanelRow("Failures", _failure_panels(scope, portfolio)),
        *([PanelRow("Objectives", _objective_panels(scope, portfolio))] if _has_objectives(portfolio) else ()),
        PanelRow("Scheduler", _scheduler_panels(scope)),
    )
    component = "The resource id of the Application Insights component: its JSON view in the portal shows it."
    variables = (
        DashboardVariable(RESOURCE, "Component", None, description=component),
        DashboardVariable("job", "Job", _make_variable_query(_list_names(scope)), all_value=_ANY_JOB),
    )
    description = "Scheduled jobs and health checks. Generated: changes by hand are retained, and reported by drift."
    described = DashboardDescription("insights", "Scheduler", description, SOURCE_TYPE, variables, rows)
    return make_dashboard_document(described, portfolio)


def _has_objectives(portfolio: Portfolio) -> bool:
    return bool(portfolio.objectives)


def _list_names(scope: QueryScope) -> str:
    """The names of the jobs that ran, for the choice of a job."""
    everything = QueryScope(time=scope.time, roles=scope.roles)
    return pipe(runs.select_runs(everything), f"distinct {names.JOB_NAME}", f"order by {names.JOB_NAME} asc")


def _make_variable_query(text: str) -> dict[str, object]:
    logs = {"query": text, "resources": [f"${RESOURCE}"], "resultFormat": "table"}
    return {"refId": "A", "queryType": "Azure Log Analytics", "azureLogAnalytics": logs}


def _panel(kind: PanelKind, key: str, title: str, query: str, unit: str = "short", width: int = 12) -> PanelDescription:
    return PanelDescription(f"insights {key}", kind, title, (PanelQuery(query),), unit=unit, width=width)


def _overview_panels(scope: QueryScope) -> tuple[PanelDescription, ...]:
    counts = runs.count_runs(scope)
    tiles: Iterable[tuple[str, str, str]] = (
        ("Jobs", "Jobs", "short"),
        ("Runs", "Runs", "short"),
        ("Failed", "Failed runs", "short"),
        ("SuccessRate", "Success rate", "percent"),
    )
    return (
        *(_panel("stat", column, title, pipe(counts, f"project {column}"), unit, 6) for column, title, unit in tiles),
        _panel("timeseries", "success", "Success rate of the worst jobs", runs.chart_success_rate(scope), "percent"),
        _panel("timeseries", "failures", "Failed runs", runs.chart_failures(scope)),
        _panel("timeseries", "availability", "Availability", objectives.chart_availability(scope), "percent"),
        _panel("table", "jobs", "Jobs", runs.list_jobs(scope)),
    )


def _duration_panels(scope: QueryScope) -> tuple[PanelDescription, ...]:
    durations = (
        _panel("timeseries", f"duration {share}", f"Duration, p{share}", runs.chart_duration(scope, share), "ms", 8)
        for share in _PERCENTILES
    )
    latenesses = (
        _panel("timeseries", f"lateness {share}", f"Lateness, p{share}", runs.chart_lateness(scope, share), "ms", 8)
        for share in _PERCENTILES
    )
    return (*durations, *latenesses, _panel("timeseries", "retries", "Retries a run", runs.chart_attempts(scope)))


def _failure_panels(scope: QueryScope, portfolio: Portfolio) -> tuple[PanelDescription, ...]:
    limits = [(job.name, limit) for job in portfolio.active_jobs if (limit := objectives.find_silence_limit(job))]
    return (
        _panel("table", "errors", "Errors", runs.list_errors(scope)),
        _panel("table", "failed runs", "Failed runs, newest first", runs.list_failed_runs(scope)),
        _panel("table", "silent", "Silent jobs", objectives.list_silent_jobs(scope, limits)),
        _panel("table", "circuits", "Openings of circuits", runs.list_circuit_openings(scope)),
        _panel("table", "letters", "Dead letters", runs.list_dead_letters(scope)),
    )


def _objective_panels(scope: QueryScope, portfolio: Portfolio) -> tuple[PanelDescription, ...]:
    query = objectives.list_budgets(scope, portfolio.objectives)
    return (_panel("table", "budgets", "Good runs and burn rates", query, width=24),)


def _scheduler_panels(scope: QueryScope) -> tuple[PanelDescription, ...]:
    ages = scheduler.chart_gauges(scope, scheduler.TICK_GAP, scheduler.QUEUE_AGE)
    depths = (scheduler.QUEUE_DEPTH, scheduler.POISON_DEPTH, scheduler.DEAD_LETTERS)
    counts = (scheduler.SILENT_JOBS, scheduler.LATE_JOBS)
    return (
        _panel("timeseries", "ages", "Tick lag and age of the queue", ages, "s", 8),
        _panel("timeseries", "depths", "Queue and dead letters", scheduler.chart_gauges(scope, *depths), width=8),
        _panel("timeseries", "late", "Silent and late jobs", scheduler.chart_gauges(scope, *counts), width=8),
        _panel("table", "unhealthy", "Unhealthy parts", scheduler.find_unhealthy_parts(scope)),
    )
