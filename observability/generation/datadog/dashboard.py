"""The dashboard and its widgets: what teams ask of scheduled jobs. Pure.

Template variables select the environment, the service, jobs and their teams. Metrics without the tag `job` are filtered
by environment and service alone: with a job selected they would be empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from jobs.runs import Outcome
from jobs.runs.outcomes import ReasonCode
from observability import names
from observability.generation.datadog.monitors import (
    BAD_OUTCOMES,
    DASHBOARD,
    JUDGED_OUTCOMES,
    OBJECTIVE,
    WATCHDOG,
    find_objectives,
    fit_window,
    is_in,
    is_split,
    make_document,
    make_id,
    make_objective_key,
    split_jobs,
    tag_value,
)
from observability.generation.document import GeneratedDocument, Json, reference_id
from observability.generation.portfolio import Portfolio, PortfolioJob

NamedQuery = tuple[str, str]
"""A name, which formulas use, and a query of metrics."""


def make_timeseries(title: str, queries: Sequence[NamedQuery], formulas: Sequence[tuple[str, str]] = ()) -> Json:
    """Return lines over time. `formulas`: of the names of queries, each with its alias; by default each query alone."""
    request = {
        "response_format": "timeseries",
        "display_type": "line",
        "queries": [_make_query(name, query) for name, query in queries],
        "formulas": [_make_formula(*one) for one in formulas or [(name, name) for name, _ in queries]],
    }
    return {"definition": {"type": "timeseries", "title": title, "show_legend": True, "requests": [request]}}


def make_value(title: str, queries: Sequence[NamedQuery], formula: str, aggregator: str, unit: str = "") -> Json:
    """Return one number over the time range. `aggregator`: sum, max, last, ..."""
    request = {
        "response_format": "scalar",
        "queries": [{**_make_query(name, query), "aggregator": aggregator} for name, query in queries],
        "formulas": [{"formula": formula}],
    }
    more = {"custom_unit": unit} if unit else {}
    definition = {"type": "query_value", "title": title, "autoscale": True, "precision": 2, "requests": [request]}
    return {"definition": {**definition, **more}}


def make_top_list(title: str, query: str, aggregator: str) -> Json:
    """Return the groups of a query with the largest values."""
    request = {
        "response_format": "scalar",
        "queries": [{**_make_query("value", query), "aggregator": aggregator}],
        "formulas": [{"formula": "value", "limit": {"count": 20, "order": "desc"}}],
    }
    return {"definition": {"type": "toplist", "title": title, "requests": [request]}}


def make_check_status(title: str, check: str, tags: Sequence[str], group_by: Sequence[str]) -> Json:
    """Return the states of a service check."""
    definition = {"check": check, "grouping": "cluster", "group_by": list(group_by), "tags": list(tags)}
    return {"definition": {"type": "check_status", "title": title, **definition}}


def make_objective(title: str, slo_id: str, window: str) -> Json:
    """Return the state of an SLO and its error budget."""
    definition = {
        "type": "slo",
        "title": title,
        "slo_id": slo_id,
        "view_type": "detail",
        "view_mode": "both",
        "show_error_budget": True,
        "time_windows": [window],
    }
    return {"definition": definition}


def make_group(title: str, widgets: Sequence[Json]) -> Json:
    """Return a titled group of widgets."""
    return {"definition": {"type": "group", "title": title, "layout_type": "ordered", "widgets": list(widgets)}}


def _make_query(name: str, query: str) -> Json:
    return {"data_source": "metrics", "name": name, "query": query}


def _make_formula(formula: str, alias: str) -> Json:
    return {"formula": formula, "alias": alias}


_PERCENTILES = ("p50", "p95", "p99")
_TEAM_TAG = "team"


def make_dashboard(portfolio: Portfolio) -> GeneratedDocument:
    """Return the dashboard. Its description has its id, by which it is found again."""
    queries = _DashboardQueries(portfolio)
    groups = [
        make_group("Now", _now_widgets(queries)),
        make_group("Results", _result_widgets(queries)),
        make_group("Durations", _duration_widgets(queries)),
        make_group("Retries, circuits and gates", _retry_widgets(queries)),
        *_group_groups(portfolio),
        *_objective_groups(portfolio),
        make_group("Incidents and notifications", _incident_widgets(queries)),
        make_group("Scheduler", _scheduler_widgets(queries)),
    ]
    value = {
        "title": f"Scheduler ({portfolio.datadog_env})",
        "description": f"Scheduled jobs and health checks. Generated; changes by hand are retained. "
        f"{make_id('dashboard', portfolio)}",
        "layout_type": "ordered",
        "reflow_type": "auto",
        "template_variables": queries.variables,
        "widgets": groups,
    }
    return make_document(DASHBOARD, "scheduler", value)


class _DashboardQueries:
    """Queries with the template variables that the metric's tags allow."""

    def __init__(self, portfolio: Portfolio) -> None:
        self._jobs = portfolio.active_jobs
        self.has_jobs = bool(self._jobs)
        # The default is the deployment, so that the dashboard shows it at first sight.
        self.variables: list[Json] = [
            _make_variable(names.TAG_ENV, tag_value(portfolio.datadog_env)),
            _make_variable(names.TAG_SERVICE, tag_value(portfolio.datadog_service)),
            _make_variable(names.TAG_JOB, "*"),
        ]
        if _TEAM_TAG in portfolio.tag_keys:
            self.variables.append(_make_variable(_TEAM_TAG, "*"))
        self._filters = [f"${variable['name']}" for variable in self.variables]

    def filters(self, metric: names.Metric | None) -> list[str]:
        """The variables that the metric knows; None: a metric of the program."""
        is_by_job = metric is not None and all(is_split(metric, job) for job in self._jobs)
        return self._filters if is_by_job else self._filters[:2]

    def total(self, metric: names.Metric, aggregator: str = "sum", *conditions: str, by: str = "") -> str:
        """A query of a metric of runs. Counts are summed."""
        return self._query(metric.name, aggregator, [*self.filters(metric), *conditions], by, metric.kind == "count")

    def program(self, name: str, aggregator: str = "max", by: str = "", *, is_count: bool = False) -> str:
        """A query of a metric of the program."""
        return self._query(name, aggregator, self.filters(None), by, is_count)

    def runs(self, outcomes: Iterable[str], by: str = "") -> str:
        """The number of runs with one of these outcomes."""
        return self.total(names.RUNS, "sum", is_in(names.TAG_OUTCOME, outcomes), by=by)

    def _query(self, name: str, aggregator: str, conditions: list[str], by: str, is_count: bool) -> str:
        # Conditions with IN need AND; a comma is AND otherwise.
        scope = (" AND " if any(" IN " in one for one in conditions) else ",").join(conditions)
        grouped = f" by {{{by}}}" if by else ""
        return f"{aggregator}:{name}{{{scope}}}{grouped}{'.as_count()' if is_count else ''}"


def _make_variable(name: str, default: str) -> Json:
    return {"name": name, "prefix": name, "available_values": [], "defaults": [default]}


def _now_widgets(queries: _DashboardQueries) -> list[Json]:
    good, judged = queries.runs(["succeeded"]), queries.runs(JUDGED_OUTCOMES)
    ratio = "100 * default_zero(good) / judged"
    letters = queries.program(f"{WATCHDOG}.dead_letters")
    unknown = queries.total(names.RUNS, "sum", f"{names.TAG_REASON}:{ReasonCode.UNKNOWN}")
    return [
        make_check_status("Jobs by state", names.SERVICE_CHECK.name, queries.filters(names.RUNS), [names.TAG_JOB]),
        make_value("Success rate", [("good", good), ("judged", judged)], ratio, "sum", "%"),
        make_value("Failures", [("bad", queries.runs(BAD_OUTCOMES))], "default_zero(bad)", "sum"),
        make_value("Unknown runs", [("unknown", unknown)], "default_zero(unknown)", "sum"),
        make_value("Silent jobs", [("jobs", queries.program(f"{WATCHDOG}.silent_jobs"))], "jobs", "last"),
        make_value("Late jobs", [("jobs", queries.program(f"{WATCHDOG}.late_jobs"))], "jobs", "last"),
        make_value("Open incidents", [("open", queries.program(names.OPEN_INCIDENTS.name, "sum"))], "open", "last"),
        make_value("Open circuits", [("open", queries.program(names.OPEN_CIRCUITS.name))], "open", "last"),
        make_value("Dead letters", [("letters", letters)], "letters", "last"),
        make_value("Tick lag", [("lag", queries.program(f"{WATCHDOG}.tick_gap"))], "lag", "max", "s"),
    ]


def _result_widgets(queries: _DashboardQueries) -> list[Json]:
    good, judged = queries.runs(["succeeded"]), queries.runs(JUDGED_OUTCOMES)
    skipped = queries.total(names.RUNS, "sum", f"{names.TAG_OUTCOME}:{Outcome.SKIPPED}", by=names.TAG_REASON)
    return [
        make_timeseries(
            "Success rate over time",
            [("good", good), ("judged", judged)],
            [("100 * good / judged", "success rate (%)")],
        ),
        make_timeseries("Runs by outcome", [("runs", queries.total(names.RUNS, by=names.TAG_OUTCOME))]),
        make_timeseries("Skipped runs by reason", [("runs", skipped)]),
        make_top_list("Failures by job", queries.runs(BAD_OUTCOMES, names.TAG_JOB), "sum"),
        make_timeseries("Failures over time", [("failures", queries.runs(BAD_OUTCOMES, names.TAG_JOB))]),
        make_top_list("Dead letters by job", queries.total(names.DEAD_LETTERS, by=names.TAG_JOB), "sum"),
    ]


def _percentiles(queries: _DashboardQueries, title: str, metric: names.Metric) -> Json:
    return make_timeseries(title, [(share, queries.total(metric, share)) for share in _PERCENTILES])


def _duration_widgets(queries: _DashboardQueries) -> list[Json]:
    return [
        _percentiles(queries, "Duration (ms)", names.DURATIONS),
        _percentiles(queries, "Response time (ms)", names.RESPONSE_TIMES),
        _percentiles(queries, "Lateness (ms)", names.LATENESSES),
        make_top_list("Slowest jobs (p95, ms)", queries.total(names.DURATIONS, "p95", by=names.TAG_JOB), "max"),
    ]


def _retry_widgets(queries: _DashboardQueries) -> list[Json]:
    attempts = names.ATTEMPT_COUNTS
    changes = queries.program(names.CIRCUIT_CHANGES.name, "sum", names.TAG_STATE, is_count=True)
    waits = queries.program(names.GATE_WAITS.name, "avg", names.TAG_GATE)
    return [
        make_timeseries("Retries", [("retries", queries.total(names.RETRIES))]),
        make_timeseries(
            "Attempts a run", [("average", queries.total(attempts, "avg")), ("maximum", queries.total(attempts, "max"))]
        ),
        make_timeseries("Changes of circuits", [("changes", changes)]),
        make_timeseries("Open circuits over time", [("open", queries.program(names.OPEN_CIRCUITS.name))]),
        make_timeseries("Waits at gates (ms)", [("wait", waits)]),
        make_timeseries("Use of the retry budget", [("use", queries.program(names.RETRY_BUDGET_USE.name))]),
    ]


def _incident_widgets(queries: _DashboardQueries) -> list[Json]:
    kinds = {"sent": names.SENT_NOTIFICATIONS, "failed": names.FAILED_NOTIFICATIONS}
    notifications = [(name, queries.program(metric.name, "sum", is_count=True)) for name, metric in kinds.items()]
    undelivered = queries.program(names.UNDELIVERED_NOTIFICATIONS.name, "sum", is_count=True)
    incidents = queries.program(names.OPEN_INCIDENTS.name, by=names.TAG_SEVERITY)
    return [
        make_timeseries("Open incidents by severity", [("open", incidents)]),
        make_timeseries("Notifications", [*notifications, ("undelivered", undelivered)]),
        make_timeseries(
            "Pending notifications", [("pending", queries.program(names.PENDING_NOTIFICATIONS.name, "sum"))]
        ),
    ]


def _scheduler_widgets(queries: _DashboardQueries) -> list[Json]:
    gauges = {
        "Tick lag over time (s)": ("tick_gap",),
        "Queue": ("queue_depth", "poison_depth", "open_runs"),
        "Age of the queue and of the oldest run (s)": ("queue_age", "oldest_run"),
        "Write to the store (ms)": ("store_time",),
        "Slots of concurrency": ("places_used",),
    }
    widgets = [
        make_timeseries(title, [(gauge, queries.program(f"{WATCHDOG}.{gauge}")) for gauge in found])
        for title, found in gauges.items()
    ]
    dropped = queries.program(names.DROPPED_TELEMETRY.name, "sum", names.TAG_EXPORTER, is_count=True)
    return [*widgets, make_timeseries("Dropped telemetry", [("dropped", dropped)])]


def _group_groups(portfolio: Portfolio) -> Iterator[Json]:
    """A group of widgets for each alert group, with the names of its jobs."""
    for name, members in portfolio.groups.items():
        if jobs := split_jobs(names.RUNS, members):
            yield make_group(f"Group {name}", _group_widgets(name, jobs))


def _group_widgets(name: str, jobs: tuple[PortfolioJob, ...]) -> list[Json]:
    conditions = [f"${names.TAG_ENV}", f"${names.TAG_SERVICE}", is_in(names.TAG_JOB, [job.name for job in jobs])]

    def runs(outcomes: Iterable[str], by: str = "") -> str:
        scope = " AND ".join([*conditions, is_in(names.TAG_OUTCOME, outcomes)])
        return f"sum:{names.RUNS.name}{{{scope}}}{f' by {{{by}}}' if by else ''}.as_count()"

    ratio = [("good", runs(["succeeded"])), ("judged", runs(JUDGED_OUTCOMES))]
    return [
        make_value(f"{name}: success rate", ratio, "100 * default_zero(good) / judged", "sum", "%"),
        make_timeseries(f"{name}: failures", [("failures", runs(BAD_OUTCOMES, names.TAG_JOB))]),
    ]


def _objective_groups(portfolio: Portfolio) -> Iterator[Json]:
    widgets = [
        make_objective(
            f"Objective {found.name}",
            reference_id(f"{OBJECTIVE}s/{make_objective_key(found)}.json"),
            fit_window(found.objective.window_days),
        )
        for found in find_objectives(portfolio)
    ]
    if widgets:
        yield make_group("Objectives", widgets)
