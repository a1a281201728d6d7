"""The workbook as a resource of Azure Monitor: its tabs, with charts and tables by subject. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from observability import names
from observability.generation.azure.resources import AzurePlace, make_tags
from observability.generation.azure.rules import find_objectives
from observability.generation.azure.workbook_items import (
    BAR,
    COUNT,
    HIDDEN,
    MEDIUM,
    MILLISECONDS,
    NUMBER,
    PERCENT,
    PLAIN,
    SCOPE,
    SECONDS,
    SMALL,
    find_omitted_selections,
    format_column,
    link_column,
    make_chart,
    make_grid,
    make_group,
    make_parameters,
    make_query,
    make_tabs,
    make_text,
)
from observability.generation.document import Json
from observability.generation.kql import objectives, runs, scheduler
from observability.generation.kql.objectives import find_silence_limit
from observability.generation.kql.runs import QueryScope
from observability.generation.portfolio import Portfolio

_EVENT_LINK, _EVENT_ID = "CustomEventDetails", "itemId"
_MAX_SILENCE_ROWS = 5000
_SILENCE_RANGE = "timestamp > ago(14d)"
"""Jobs are silent now, whatever time range is chosen."""
_NO_FAILURES = "No failed runs in this time range."
_NO_DATA = "No data in this time range."


def _make_line_chart(name: str, title: str, query: str, unit: int, minimum: int | None = None, **more: Any) -> Json:
    """Return a chart over time. `more`: of make_query."""
    return make_query(name, title, query, visualization="timechart", settings=make_chart(unit, minimum), **more)


def _make_problems(name: str, title: str, query: str, no_data: str, **more: Any) -> Json:
    """Return a table that is best without rows. `more`: of make_query."""
    return make_query(name, title, query, no_data=no_data, is_good_news=True, **more)


def make_scheduler() -> Sequence[Json]:
    """Ticks, queue, dead letters, circuits, incidents, lost telemetry, unhealthy parts."""
    gauges, counts = partial(scheduler.chart_gauges, SCOPE), partial(scheduler.chart_counts, SCOPE)
    levels = scheduler.chart_program_gauges(
        SCOPE, names.OPEN_CIRCUITS, names.OPEN_INCIDENTS, names.PENDING_NOTIFICATIONS
    )
    waiting = gauges(scheduler.QUEUE_DEPTH, scheduler.POISON_DEPTH)
    missing = gauges(scheduler.LATE_JOBS, scheduler.SILENT_JOBS)
    charts = (
        ("tick lag", "Time since the last tick, in s", gauges(scheduler.TICK_GAP), SECONDS),
        ("queue age", "Age of the oldest ticket that could run, in s", gauges(scheduler.QUEUE_AGE), SECONDS),
        ("queue", "Tickets that wait, poison messages", waiting, COUNT),
        ("dead letter depth", "Stored dead letters", gauges(scheduler.DEAD_LETTERS), COUNT),
        ("late and silent jobs", "Late and silent jobs", missing, COUNT),
        ("circuit changes", "Changes of circuit breakers", counts(names.CIRCUIT_CHANGES), COUNT),
        ("open incidents", "Circuits that are not closed, open incidents, notifications that wait", levels, COUNT),
        ("lost telemetry", "Telemetry that exporters lost", counts(names.DROPPED_TELEMETRY), COUNT),
    )
    parts, no_data = scheduler.find_unhealthy_parts(SCOPE), "No part has become unhealthy in this time range."
    return [
        *(_make_line_chart(*chart, 0, size=MEDIUM, width=50, no_data=_NO_DATA) for chart in charts),
        _make_problems("unhealthy parts", "Unhealthy parts", parts, no_data, width=50),
    ]


def make_overview(portfolio: Portfolio) -> Sequence[Json]:
    """Tiles, success rate, failures, availability, all jobs."""
    rate, availability = runs.chart_success_rate(SCOPE), objectives.chart_availability(SCOPE)
    jobs = make_grid(_JOB_COLUMNS, _JOB_LABELS)
    return [
        make_query("overview tiles", "", _summarize_overview(), visualization="tiles", size=SMALL, settings=_TILES),
        _make_line_chart("success rate", "Success rate by job, in percent", rate, PERCENT, width=50),
        _make_line_chart("failures", "Failed runs by job", runs.chart_failures(SCOPE), COUNT, 0, width=50),
        _make_line_chart("availability over time", "Availability, in percent", availability, PERCENT, size=MEDIUM),
        make_query("jobs", "Jobs", runs.list_jobs(SCOPE), settings=jobs),
        *_list_objectives(portfolio),
    ]


def make_performance() -> Sequence[Json]:
    """Duration and lateness by the chosen percentile, retries."""
    duration, lateness = (chart(SCOPE, "{Percentile}") for chart in (runs.chart_duration, runs.chart_lateness))
    return [
        _make_line_chart("duration", "Duration by job, p{Percentile}, in ms", duration, MILLISECONDS, 0),
        _make_line_chart("lateness", "Lateness by job, p{Percentile}, in ms", lateness, MILLISECONDS, 0),
        _make_line_chart("retries", "Retries for each run, by job", runs.chart_attempts(SCOPE), COUNT, 0),
    ]


def make_failures(portfolio: Portfolio) -> Sequence[Json]:
    """Errors, failed runs with a link to their transaction, unknown and silent jobs, circuits, dead letters."""
    hidden = [format_column(column, HIDDEN) for column in (_EVENT_ID, "operation_Id")]
    linked = make_grid([link_column(names.RUN_ID, _EVENT_ID, _EVENT_LINK), *hidden])
    failed, letters = runs.list_failed_runs(SCOPE), runs.list_dead_letters(SCOPE)
    no_circuit, no_letter = "No circuit opened in this time range.", "No run was given up in this time range."
    opened, unknown = runs.list_circuit_openings(SCOPE), runs.list_unknown_jobs(SCOPE)
    no_unknown = "Every job could be checked in this time range."
    return [
        _make_problems("errors", "Errors", runs.list_errors(SCOPE), _NO_FAILURES, settings=_BARS),
        _make_problems("failed runs", "Failed runs", failed, _NO_FAILURES, settings=linked),
        _make_problems("unknown", "Jobs that cannot be checked", unknown, no_unknown, settings=_BARS),
        _list_silent_jobs(portfolio),
        _make_problems("circuits", "Circuits that opened", opened, no_circuit, width=50),
        _make_problems("dead letters", "Runs given up", letters, no_letter, width=50, settings=linked),
    ]


def _summarize_overview() -> str:
    """One row for each tile: its title, its value, its order."""
    tiles = (
        ("Jobs", "Counts", "todouble(Jobs)"),
        ("Runs", "Counts", "todouble(Runs)"),
        ("Failed runs", "Counts", "todouble(Failed)"),
        ("Success rate (%)", "Counts", "SuccessRate"),
        ("Dead letters", "Gauges", f"maxif(Value, Gauge == '{scheduler.DEAD_LETTERS}')"),
        ("Tick lag (s)", "Gauges", f"maxif(Value, Gauge == '{scheduler.TICK_GAP}')"),
        ("Silent jobs", "Gauges", f"maxif(Value, Gauge == '{scheduler.SILENT_JOBS}')"),
    )
    parts = [
        f"({source} | {'project' if source == 'Counts' else 'summarize'} Value = {value} "
        f'| extend Title = "{title}", Order = {order})'
        for order, (title, source, value) in enumerate(tiles)
    ]
    gauges = scheduler.read_gauges(SCOPE, scheduler.DEAD_LETTERS, scheduler.TICK_GAP, scheduler.SILENT_JOBS)
    return (
        f"let Counts = {runs.count_runs(SCOPE)};\nlet Gauges = {gauges};\nunion {', '.join(parts)}\n"
        "| order by Order asc\n| project Title, Value, Order"
    )


def _list_silent_jobs(portfolio: Portfolio) -> Json:
    limits = [(job.name, limit) for job in portfolio.active_jobs if (limit := find_silence_limit(job)) is not None]
    scope = QueryScope(time=_SILENCE_RANGE, roles=SCOPE.roles, jobs=SCOPE.jobs)
    query = objectives.list_silent_jobs(scope, limits[:_MAX_SILENCE_ROWS])
    title = "Silent jobs: the latest run is older than twice the interval"
    return _make_problems("silent jobs", title, query, "No job is silent.")


def _list_objectives(portfolio: Portfolio) -> Sequence[Json]:
    found = find_objectives(portfolio)
    if not found:
        return ()
    query = objectives.list_budgets(SCOPE, found)
    return (make_query("objectives", "Objectives: share of good runs in this time range, in percent", query),)


_TILES: Mapping[str, Json] = {
    "tileSettings": {
        "titleContent": {"columnMatch": "Title", "formatter": PLAIN},
        "leftContent": {
            "columnMatch": "Value",
            "formatter": NUMBER,
            "formatOptions": {"palette": "auto"},
            "numberFormat": {"unit": COUNT, "options": {"style": "decimal", "maximumFractionDigits": 2}},
        },
        "showBorder": True,
        "sortCriteriaField": "Order",
        "sortOrderField": 1,
    }
}
_BARS = make_grid([format_column("Runs", BAR, palette="red", min=0)])
_JOB_COLUMNS = [
    format_column("Failed", BAR, palette="red", min=0),
    format_column("SuccessRate", BAR, palette="redGreen", min=0, max=100),
    format_column("DurationP95", BAR, palette="blue", min=0),
    format_column("LatenessP95", BAR, palette="orange", min=0),
]
_JOB_LABELS = {
    "SuccessRate": "Success rate (%)",
    **{
        f"{measure}P{percentile}": f"{measure} p{percentile} (ms)"
        for measure in ("Duration", "Lateness")
        for percentile in (50, 95, 99)
    },
}


WORKBOOK_TYPE: Final = "Microsoft.Insights/workbooks"
WORKBOOK_API_VERSION: Final = "2023-06-01"

FORMAT: Final = "Notebook/1.0"
CONTENT: Final = "serializedData"
"""The property with the workbook itself: a text to Azure, an object in a document here."""


def make_workbook_body(portfolio: Portfolio) -> Json:
    """Return the resource without its place; its content is an object."""
    title = f"{portfolio.service} {portfolio.environment}: jobs"
    return {
        "kind": "shared",
        "tags": {**make_tags(portfolio), "hidden-title": title},
        "properties": {
            "displayName": title,
            "description": "Runs, failures, durations and silence of the scheduled jobs.",
            "category": "workbook",
            "version": FORMAT,
            CONTENT: _make_content(portfolio),
        },
    }


def complete_workbook(body: Json, place: AzurePlace) -> Json:
    """Return the resource with its place."""
    content = {**body["properties"][CONTENT], "fallbackResourceIds": [place.component]}
    properties = {**body["properties"], "sourceId": place.component, CONTENT: content}
    return {**body, **place.location_property, "properties": properties}


def _make_content(portfolio: Portfolio) -> Json:
    tabs = {"overview": "Overview", "performance": "Performance", "failures": "Failures", "scheduler": "Scheduler"}
    sections = {
        "overview": make_overview(portfolio),
        "performance": make_performance(),
        "failures": make_failures(portfolio),
        "scheduler": make_scheduler(),
    }
    items = [
        make_text("introduction", _introduce(portfolio)),
        make_parameters(portfolio),
        make_tabs("tabs", tabs),
        *(make_group(f"tab {key}", key, section) for key, section in sections.items()),
    ]
    return {"version": FORMAT, "items": items, "isLocked": False}


def _introduce(portfolio: Portfolio) -> str:
    lines = [
        "Generated from the job files. Your changes of this workbook remain when it is applied again; "
        "`generate drift azure` lists them.",
        "A row of the telemetry can represent several runs: counts are exact, percentiles of ordinary runs come from a "
        "sample.",
    ]
    if omitted := find_omitted_selections(portfolio):
        lines.append(f"{omitted} groups and tags with many jobs cannot be chosen: the workbook would be too large.")
    return "\n\n".join(lines)
