"""The dashboard for Prometheus: what teams ask of scheduled jobs. Pure.

A job that is added to a job file is in every panel without a change; a row of each alert group names its jobs. All
panels are about the jobs that the variables of the dashboard select.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.policies.execution import label_of_tag
from observability.generation.document import GeneratedDocument
from observability.generation.grafana.panels import (
    DashboardDescription,
    DashboardVariable,
    PanelDescription,
    PanelQuery,
    PanelRow,
    make_dashboard_document,
)
from observability.generation.portfolio import Portfolio, PortfolioJob
from observability.generation.prometheus import (
    BAD_OUTCOMES,
    RATE_RANGE,
    WHOLE_RANGE,
    increase_per_job,
    names_selector,
    per_job,
    quantile,
    rate_per_job,
    silent_jobs,
    success_ratio,
)

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


_LATE_TICK_S, _STOPPED_TICK_S = 90.0, 180.0
_WARNING = ((1.0, "yellow"),)


def make_now_panels() -> tuple[PanelDescription, ...]:
    """Return the panels."""
    shares: tuple[tuple[float, str], ...] = ((0.99, "yellow"), (0.999, "green"))
    return (
        make_stat("jobs", "Jobs", f"count({per_job('scheduler_job_info', SELECTED_JOBS)})", thresholds=()),
        make_stat("down", "Down", count_jobs("scheduler_job_up", 0), "Jobs whose target is down."),
        make_stat(
            "degraded",
            "Degraded",
            count_jobs("scheduler_job_degraded"),
            "Jobs that succeed although an expectation of severity degraded fails.",
            thresholds=_WARNING,
        ),
        make_stat(
            "success",
            "Success rate",
            success_ratio(WHOLE_RANGE, SELECTED_JOBS),
            "Good runs of all judged ones in the time range; skipped and cancelled runs do not count.",
            unit="percentunit",
            first_colour="red",
            thresholds=shares,
        ),
        make_stat("incidents", "Open incidents", "sum(max by (severity) (scheduler_incidents_open)) or vector(0)"),
        make_stat(
            "silent", "Silent jobs", f"count({silent_jobs(SELECTED_JOBS)}) or vector(0)", "No run for two intervals."
        ),
        make_stat("blind", "Blind", count_jobs("scheduler_job_blind"), "Jobs that the scheduler cannot check."),
        make_stat(
            "unknown", "Unknown", count_jobs("scheduler_job_unknown"), "Jobs in an unknown state.", thresholds=_WARNING
        ),
        make_stat("paused", "Paused", count_jobs("scheduler_job_paused"), thresholds=_WARNING),
        make_stat("circuits", "Open circuits", count_jobs("scheduler_job_circuit_open"), thresholds=_WARNING),
        make_stat(
            "letters", "Dead letters", f"sum({per_job('scheduler_job_dead_letters', SELECTED_JOBS)}) or vector(0)"
        ),
        make_stat("undelivered", "Undelivered notifications", "max(scheduler_notifications_undelivered)"),
        make_stat(
            "tick",
            "Tick lag",
            "max(scheduler_watchdog_tick_gap_seconds)",
            "Time since the last planning round.",
            unit="s",
            thresholds=((_LATE_TICK_S, "yellow"), (_STOPPED_TICK_S, "red")),
        ),
    )


SOURCE_TYPE = "prometheus"
_MAX_LINES = 10
"""Jobs of a panel that shows the worst ones."""
_MONTH_S, _WEEK_S = 30 * 86_400.0, 7 * 86_400.0


def make_prometheus_dashboard(portfolio: Portfolio) -> GeneratedDocument:
    """Return the dashboard."""
    rows = (
        PanelRow("Now", make_now_panels()),
        PanelRow("Results", _result_panels()),
        PanelRow("Durations", _duration_panels()),
        PanelRow("Retries and circuits", _retry_panels()),
        *(PanelRow(f"Group {name}", _group_panels(name, jobs)) for name, jobs in portfolio.groups.items()),
        *([PanelRow("Objectives", _objective_panels())] if portfolio.objectives else ()),
        PanelRow("Jobs", _table_panels()),
        PanelRow("Scheduler", _scheduler_panels()),
    )
    description = "Scheduled jobs and health checks. Generated: changes by hand are retained, and reported by drift."
    variables = _make_variables(portfolio)
    described = DashboardDescription("prometheus", "Scheduler", description, SOURCE_TYPE, variables, rows)
    return make_dashboard_document(described, portfolio)


def _make_variables(portfolio: Portfolio) -> tuple[DashboardVariable, ...]:
    """Choices of a kind and of tags that are labels, and of a job among those that have these."""
    labels = {"kind": "Kind", **{label_of_tag(key): key.capitalize() for key in portfolio.exported_tags}}
    filters = [
        DashboardVariable(label, title, f"label_values(scheduler_job_info, {label})") for label, title in labels.items()
    ]
    chosen = ", ".join(f'{label}=~"${label}"' for label in labels)
    # All is the list of these jobs and not any text, otherwise the other choices would have no effect.
    job = DashboardVariable("job", "Job", f"label_values(scheduler_job_info{{{chosen}}}, job_name)", all_value=None)
    return (*filters, job)


def _result_panels() -> tuple[PanelDescription, ...]:
    ratio = success_ratio(RATE_RANGE, SELECTED_JOBS, "job_name")
    outcomes = rate_per_job("scheduler_job_runs_total", RATE_RANGE, SELECTED_JOBS, "outcome")
    bad = increase_per_job(
        "scheduler_job_runs_total", WHOLE_RANGE, f'{SELECTED_JOBS}, outcome=~"{BAD_OUTCOMES}"', "outcome"
    )
    return (
        make_lines(
            "ratio",
            "Success rate of the worst jobs",
            [(f"bottomk({_MAX_LINES}, {ratio})", "{{job_name}}")],
            "percentunit",
        ),
        make_lines("outcomes", "Runs by outcome", [(f"60 * sum by (outcome) ({outcomes})", "{{outcome}}")], "rpm"),
        PanelDescription(
            "failures",
            "table",
            "Failures",
            (PanelQuery(f"topk({5 * _MAX_LINES}, {bad} > 0)"),),
            "Runs whose target was down in the time range.",
            "short",
            12,
            renames={"job_name": "Job", "outcome": "Outcome", "Value": "Runs"},
        ),
        make_lines(
            "up",
            "Jobs by state",
            [
                (count_jobs("scheduler_job_up"), "up"),
                (count_jobs("scheduler_job_up", 0), "down"),
                (count_jobs("scheduler_job_degraded"), "degraded"),
                (count_jobs("scheduler_job_unknown"), "unknown"),
            ],
            "short",
        ),
    )


def _duration_panels() -> tuple[PanelDescription, ...]:
    slowest = quantile(0.95, "scheduler_job_duration_seconds", RATE_RANGE, SELECTED_JOBS, "job_name")
    return (
        make_percentile_lines(
            "duration", "Duration", "scheduler_job_duration_seconds", SELECTED_JOBS, "Of runs, retries included."
        ),
        make_percentile_lines(
            "response", "Response time", "scheduler_job_response_time_seconds", SELECTED_JOBS, "Of the last attempt."
        ),
        make_percentile_lines(
            "lateness", "Lateness", "scheduler_job_lateness_seconds", SELECTED_JOBS, "Start minus due instant."
        ),
        make_lines(
            "slowest", "Slowest jobs (p95)", [(f"topk({_MAX_LINES}, {slowest})", "{{job_name}}")], "s", width=24
        ),
    )


def _retry_panels() -> tuple[PanelDescription, ...]:
    retried = rate_per_job("scheduler_job_retried_runs_total", RATE_RANGE, SELECTED_JOBS)
    attempts = rate_per_job("scheduler_job_attempts_total", RATE_RANGE, SELECTED_JOBS)
    runs = f"sum by (job_name) ({rate_per_job('scheduler_job_runs_total', RATE_RANGE, SELECTED_JOBS, 'outcome')}) > 0"
    return (
        make_lines(
            "retried",
            "Retried runs a minute",
            [(f"topk({_MAX_LINES}, 60 * {retried})", "{{job_name}}")],
            "rpm",
            width=8,
        ),
        make_lines(
            "attempts",
            "Attempts a run",
            [(f"topk({_MAX_LINES}, {attempts} / on (job_name) ({runs}))", "{{job_name}}")],
            "short",
            width=8,
        ),
        make_lines(
            "circuit",
            "Open circuits",
            [
                (f"sum({per_job('scheduler_job_circuit_open', SELECTED_JOBS)})", "of jobs"),
                ("max by (circuit) (scheduler_circuit_open)", "{{circuit}}"),
            ],
            "short",
            width=8,
        ),
    )


def _group_panels(name: str, jobs: Sequence[PortfolioJob]) -> tuple[PanelDescription, ...]:
    selector = names_selector(job.name for job in jobs)
    ratio = success_ratio(RATE_RANGE, selector)
    down = f"count({per_job('scheduler_job_up', selector)} == 0) or vector(0)"
    return (
        make_stat(f"group {name} jobs", "Jobs", f"count({per_job('scheduler_job_info', selector)})", thresholds=()),
        make_stat(f"group {name} down", "Down", down),
        make_lines(f"group {name} ratio", "Success rate", [(ratio, name)], "percentunit", width=8),
        make_percentile_lines(f"group {name} duration", "Duration", "scheduler_job_duration_seconds", selector, ""),
    )


def _objective_panels() -> tuple[PanelDescription, ...]:
    budget = "max by (slo, job_name) (scheduler_slo_error_budget_remaining_ratio)"
    burn = "max by (slo, job_name, window) (scheduler_slo_burn_rate)"
    return (
        make_lines("budget", "Remaining error budget", [(f"100 * {budget}", "{{slo}}")], "percent"),
        make_lines("burn", "Burn rate", [(burn, "{{slo}}, {{window}}")], "short"),
    )


def _table_panels() -> tuple[PanelDescription, ...]:
    success = f"time() - {per_job('scheduler_job_last_success_timestamp_seconds', SELECTED_JOBS)}"
    certificate = f"{per_job('scheduler_job_certificate_expiry_timestamp_seconds', SELECTED_JOBS)} - time()"
    return (
        PanelDescription(
            "successes",
            "table",
            "Time since the last success",
            (PanelQuery(f"sort_desc({success})"),),
            unit="s",
            width=12,
            renames={"job_name": "Job", "Value": "Age"},
        ),
        PanelDescription(
            "certificates",
            "table",
            "Certificates",
            (PanelQuery(f"sort({certificate})"),),
            "Time until the certificate of the target expires.",
            "s",
            12,
            ((_WEEK_S, "yellow"), (_MONTH_S, "green")),
            "red",
            renames={"job_name": "Job", "Value": "Valid for"},
        ),
    )


def _scheduler_panels() -> tuple[PanelDescription, ...]:
    gauges = {
        "Tick lag and age of the queue": (("tick_gap_seconds", "tick"), ("queue_age_seconds", "queue")),
        "Work that waits": (("queue_depth", "queue"), ("open_runs", "open runs"), ("poison_depth", "poison queue")),
        "Store": (("store_time_seconds", "write"),),
    }
    panels = [
        make_lines(
            title,
            title,
            [(f"max(scheduler_watchdog_{series})", legend) for series, legend in lines],
            "s" if lines[0][0].endswith("_seconds") else "short",
            width=8,
        )
        for title, lines in gauges.items()
    ]
    pending = [
        ("max(scheduler_notifications_pending)", "pending"),
        ("max(scheduler_notifications_undelivered)", "undelivered"),
    ]
    return (
        *panels,
        make_lines("notifications", "Notifications", pending, "short"),
        make_lines(
            "severities", "Open incidents", [("max by (severity) (scheduler_incidents_open)", "{{severity}}")], "short"
        ),
    )
