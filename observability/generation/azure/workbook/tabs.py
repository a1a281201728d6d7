"""The tabs of the workbook: charts and tables by subject. Pure. Called by
observability.generation.azure.workbook.workbook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from observability import names
from observability.generation.azure.rules.objective_rules import find_objectives
from observability.generation.azure.workbook.items import (
    BAR,
    COUNT,
    HIDDEN,
    MEDIUM,
    MILLISECONDS,
    NUMBER,
    PERCENT,
    PLAIN,
    SMALL,
    format_column,
    link_column,
    make_chart,
    make_grid,
    make_query,
)
from observability.generation.azure.workbook.parameters import SCOPE
from observability.generation.core.document import Json
from observability.generation.core.portfolio import Portfolio
from observability.generation.kql import availability, objectives, runs, scheduler
from observability.generation.kql.availability import find_silence_limit
from observability.generation.kql.scope import QueryScope

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
        availability.chart_availability(SCOPE),
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
        availability.list_silent_jobs(scope, limits[:_MAX_SILENCE_ROWS]),
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
