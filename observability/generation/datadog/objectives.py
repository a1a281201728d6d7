"""SLOs from the objectives of jobs, and burn rate monitors. Called by observability.generation.datadog.target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from jobs.objectives import BURN_PAIRS
from observability import names
from observability.generation.core.document import GeneratedDocument, Json, reference_id
from observability.generation.core.portfolio import ObjectiveOfJobs, Portfolio
from observability.generation.datadog.documents import MONITOR, OBJECTIVE, make_document, make_key, make_tags
from observability.generation.datadog.queries import JUDGED_OUTCOMES, is_in, make_scope, split_jobs

WINDOWS_DAYS = (7, 30, 90)
"""Windows that Datadog's SLOs have."""
_SLICE_S = 300
"""Seconds of a slice of an objective that counts time."""
_PAGE_PRIORITY, _TICKET_PRIORITY = 1, 3


def find_objectives(portfolio: Portfolio) -> Iterator[ObjectiveOfJobs]:
    """Yield the objectives, with those jobs whose runs are counted by job; none without such a job."""
    for found in portfolio.objectives:
        if jobs := split_jobs(names.RUNS, found.jobs):
            yield replace(found, jobs=jobs)


def make_objectives(portfolio: Portfolio) -> Iterator[GeneratedDocument]:
    """Yield an SLO for each objective."""
    for found in find_objectives(portfolio):
        objective, key = found.objective, make_objective_key(found)
        window = fit_window(objective.window_days)
        value = {
            "name": f"{found.name}: {objective.target:g} % of {objective.counts} ({portfolio.datadog_env})",
            "description": f"The objective {found.name}. Generated from its job file.",
            "tags": make_tags(key, portfolio),
            "thresholds": [{"target": objective.target, "timeframe": window}],
            "target_threshold": objective.target,
            "timeframe": window,
            **(_count_time if objective.counts == "time" else _count_runs)(portfolio, found),
        }
        yield make_document(OBJECTIVE, key, value)


def make_burn_rate_monitors(portfolio: Portfolio) -> Iterator[GeneratedDocument]:
    """Yield the monitors of each SLO. They reference it by its id, which is known once it has been applied."""
    for found in find_objectives(portfolio):
        slo = reference_id(f"{OBJECTIVE}s/{make_objective_key(found)}.json")
        over = fit_window(found.objective.window_days)
        for pair in BURN_PAIRS:
            long, short = _format_window(pair.long), _format_window(pair.short)
            key = make_key("burn-rate", long, found.name)
            query = f'burn_rate("{slo}").over("{over}").long_window("{long}").short_window("{short}") > {pair.factor:g}'
            value = {
                "name": f"{found.name} spends its error budget {pair.factor:g} times too fast ({long})",
                "type": "slo alert",
                "query": query,
                "message": f"At this rate the error budget of {found.name} for {over} is spent early.",
                "options": {"thresholds": {"critical": pair.factor}, "include_tags": True},
                "priority": _PAGE_PRIORITY if pair.is_page else _TICKET_PRIORITY,
                "tags": make_tags(key, portfolio),
            }
            yield make_document(MONITOR, key, value)


def make_objective_key(found: ObjectiveOfJobs) -> str:
    """Return the key of the SLO's document."""
    return make_key("objective", found.name)


def _format_window(span: timedelta) -> str:
    """Datadog knows minutes and hours."""
    minutes = int(span.total_seconds() // 60)
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


def fit_window(days: int) -> str:
    """Return the shortest window of Datadog that is not shorter, otherwise its longest."""
    return f"{next((window for window in WINDOWS_DAYS if window >= days), WINDOWS_DAYS[-1])}d"


def _run_queries(portfolio: Portfolio, found: ObjectiveOfJobs) -> tuple[str, str]:
    """The number of good runs, and of judged ones."""
    own = is_in(names.TAG_JOB, [job.name for job in found.jobs])
    strict = [f"{names.TAG_DEGRADED}:false"] if found.objective.is_degraded_bad else []
    good = make_scope(portfolio, own, is_in(names.TAG_OUTCOME, ["succeeded"]), *strict)
    judged = make_scope(portfolio, own, is_in(names.TAG_OUTCOME, JUDGED_OUTCOMES))
    return f"sum:{names.RUNS.name}{good}.as_count()", f"sum:{names.RUNS.name}{judged}.as_count()"


def _count_runs(portfolio: Portfolio, found: ObjectiveOfJobs) -> Json:
    good, judged = _run_queries(portfolio, found)
    return {"type": "metric", "query": {"numerator": good, "denominator": judged}}


def _count_time(portfolio: Portfolio, found: ObjectiveOfJobs) -> Json:
    """A slice of time is good if most of its runs are."""
    good, judged = _run_queries(portfolio, found)
    queries = [
        {"data_source": "metrics", "name": "good", "query": good},
        {"data_source": "metrics", "name": "judged", "query": judged},
    ]
    query = {"formulas": [{"formula": "good / judged"}], "queries": queries}
    time_slice = {"comparator": ">", "threshold": 0.5, "query": query, "query_interval_seconds": _SLICE_S}
    return {"type": "time_slice", "sli_specification": {"time_slice": time_slice}}
