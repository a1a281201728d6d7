"""The workbook as a resource of Azure Monitor: its tabs, with charts and tables by subject. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

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

_LOST = names.DROPPED_TELEMETRY
_SCHEDULER_GAUGES = (
    ("tick lag", "Time since the last tick, in s", (scheduler.TICK_GAP,), SECONDS),
    ("queue age", "Age of the oldest ticket that could run, in s", (scheduler.QUEUE_AGE,), SECONDS),
    ("queue", "Tickets that wait, poison messages", (scheduler.QUEUE_DEPTH, scheduler.POISON_DEPTH), COUNT),
    ("dead letter depth", "Stored dead letters", (scheduler.DEAD_LETTERS,), COUNT),
    ("late and silent jobs", "Late and silent jobs", (scheduler.LATE_JOBS, scheduler.SILENT_JOBS), COUNT),
)


def make_scheduler() -> Sequence[Json]:
    """Ticks, queue, dead letters, circuits, incidents, lost telemetry, unhealthy parts."""
    charts = (
        *(
            (name, title, scheduler.chart_gauges(SCOPE, *gauges), unit)
            for name, title, gauges, unit in _SCHEDULER_GAUGES
        ),
        ("circuit changes", "Changes of circuit breakers", scheduler.chart_counts(SCOPE, names.CIRCUIT_CHANGES), COUNT),
        (
            "open incidents",
            "Circuits that are not closed, open incidents, notifications that wait",
            scheduler.chart_program_gauges(
                SCOPE, names.OPEN_CIRCUITS, names.OPEN_INCIDENTS, names.PENDING_NOTIFICATIONS
            ),
            COUNT,
        ),
        (
            "lost telemetry",
            "Telemetry that exporters lost",
            scheduler.chart_counts(SCOPE, names.DROPPED_TELEMETRY),
            COUNT,
        ),
    )
    items = [
        make_query(
            name,
            title,
            query,
            visualization="timechart",
            size=MEDIUM,
            width=50,
            no_data="No data in this time range.",
            settings=make_chart(unit, 0),
        )
        for name, title, query, unit in charts
    ]
    parts = make_query(
        "unhealthy parts",
        "Unhealthy parts",
        scheduler.find_unhealthy_parts(SCOPE),
        width=50,
        no_data="No part has become unhealthy in this time range.",
        is_good_news=True,
    )
    return [*items, parts]


_EVENT_LINK, _EVENT_ID = "CustomEventDetails", "itemId"
_MAX_SILENCE_ROWS = 5000
_SILENCE_RANGE = "timestamp > ago(14d)"
"""Jobs are silent now, whatever time range is chosen."""

_NO_FAILURES = "No failed runs in this time range."


def make_overview(portfolio: Portfolio) -> Sequence[Json]:
    """Tiles, success rate, failures, availability, all jobs."""
    tiles = make_query("overview tiles", "", _summarize_overview(), visualization="tiles", size=SMALL, settings=_TILES)
    rate = make_query(
        "success rate",
        "Success rate by job, in percent",
        runs.chart_success_rate(SCOPE),
        visualization="timechart",
        width=50,
        settings=make_chart(PERCENT),
    )
    failures = make_query(
        "failures",
        "Failed runs by job",
        runs.chart_failures(SCOPE),
        visualization="timechart",
        width=50,
        settings=make_chart(COUNT, 0),
    )
    available = make_query(
        "availability over time",
        "Availability, in percent",
        objectives.chart_availability(SCOPE),
        visualization="timechart",
        size=MEDIUM,
        settings=make_chart(PERCENT),
    )
    jobs = make_query("jobs", "Jobs", runs.list_jobs(SCOPE), settings=make_grid(_JOB_COLUMNS, _JOB_LABELS))
    return [tiles, rate, failures, available, jobs, *_list_objectives(portfolio)]


def make_performance() -> Sequence[Json]:
    """Duration and lateness by the chosen percentile, retries."""
    charts = (
        ("duration", "Duration by job, p{Percentile}, in ms", runs.chart_duration(SCOPE, "{Percentile}"), MILLISECONDS),
        ("lateness", "Lateness by job, p{Percentile}, in ms", runs.chart_lateness(SCOPE, "{Percentile}"), MILLISECONDS),
        ("retries", "Retries for each run, by job", runs.chart_attempts(SCOPE), COUNT),
    )
    return [
        make_query(name, title, query, visualization="timechart", settings=make_chart(unit, 0))
        for name, title, query, unit in charts
    ]


def make_failures(portfolio: Portfolio) -> Sequence[Json]:
    """Errors, failed runs with a link to their transaction, silent jobs, circuits, dead letters."""
    errors = make_query(
        "errors", "Errors", runs.list_errors(SCOPE), no_data=_NO_FAILURES, is_good_news=True, settings=_BARS
    )
    failed = make_query(
        "failed runs",
        "Failed runs",
        runs.list_failed_runs(SCOPE),
        no_data=_NO_FAILURES,
        is_good_news=True,
        settings=make_grid(
            [
                link_column(names.RUN_ID, _EVENT_ID, _EVENT_LINK),
                format_column(_EVENT_ID, HIDDEN),
                format_column("operation_Id", HIDDEN),
            ]
        ),
    )
    circuits = make_query(
        "circuits",
        "Circuits that opened",
        runs.list_circuit_openings(SCOPE),
        width=50,
        no_data="No circuit opened in this time range.",
        is_good_news=True,
    )
    letters = make_query(
        "dead letters",
        "Runs given up",
        runs.list_dead_letters(SCOPE),
        width=50,
        no_data="No run was given up in this time range.",
        is_good_news=True,
        settings=make_grid(
            [
                link_column(names.RUN_ID, _EVENT_ID, _EVENT_LINK),
                format_column(_EVENT_ID, HIDDEN),
                format_column("operation_Id", HIDDEN),
            ]
        ),
    )
    return [errors, failed, _list_silent_jobs(portfolio), circuits, letters]


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
    return make_query(
        "silent jobs",
        "Silent jobs: the latest run is older than twice the interval",
        objectives.list_silent_jobs(scope, limits[:_MAX_SILENCE_ROWS]),
        no_data="No job is silent.",
        is_good_news=True,
    )


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
