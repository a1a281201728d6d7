"""Objectives and statements as the API and `--json` show them: ratios and amounts have 6 digits.

Called by scheduler.features.objectives.routes and scheduler.features.objectives.commands.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from jobs.definition.job_alerts import NamedObjective
from jobs.formats import format_duration
from jobs.incidents.downtime import ExcludedTime
from jobs.objectives import ErrorBudget, SliCounts, burn_rate_of
from scheduler.features.objectives.models import (
    BurnRateModel,
    ObjectiveDayModel,
    ObjectiveDefinitionModel,
    ObjectiveList,
    ObjectiveModel,
    ObjectiveStatementModel,
    StatementJobModel,
)
from scheduler.features.objectives.queries import MeasuredJob, ObjectiveState, ObjectiveStatement
from scheduler.features.statistics.downtime import view_exclusion

_DIGITS = 6


def view_states(states: Iterable[ObjectiveState], continuation: str | None) -> ObjectiveList:
    """Return a page of objectives."""
    return ObjectiveList(objectives=list(map(view_state, states)), continuation=continuation)


def view_state(state: ObjectiveState) -> ObjectiveModel:
    """Return an objective with its budget and its burn rates."""
    budget, time_left = state.budget, state.time_left
    return ObjectiveModel.from_object(
        state,
        objective=_view_definition(state.objective),
        attained=_round(budget.attained),
        valid=budget.counts.valid,
        bad=budget.counts.bad,
        allowed=round(budget.allowed, _DIGITS),
        remaining=round(budget.remaining, _DIGITS),
        remaining_ratio=_round(budget.remaining_ratio),
        burn_rate=_round(state.present_burn_rate),
        exhausted_in_seconds=None if time_left is None else round(time_left.total_seconds(), 3),
        excluded=state.excluded.valid,
        complete=state.is_complete,
        burn_rates=[_view_burn_rate(window, counts, budget.error_ratio) for window, counts in state.windows.items()],
        excluded_by=_sum_by_reason(each for job in state.jobs for each in job.exclusions),
        history=[_view_day(day, ErrorBudget(budget.target, counts)) for day, counts in state.days],
    )


def _view_day(day: datetime, budget: ErrorBudget) -> ObjectiveDayModel:
    attained, counts = budget.attained, budget.counts
    is_met = None if attained is None else budget.remaining >= 0
    return ObjectiveDayModel(day=day.date(), valid=counts.valid, bad=counts.bad, attained=_round(attained), met=is_met)


def _sum_by_reason(exclusions: Iterable[ExcludedTime]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for each in exclusions:
        seconds[each.reason] = seconds.get(each.reason, 0.0) + (each.end - each.begin).total_seconds()
    return seconds


def view_statement(statement: ObjectiveStatement) -> ObjectiveStatementModel:
    """Return what an objective attained in a month, and each of its jobs."""
    budget = statement.budget
    return ObjectiveStatementModel.from_object(
        statement,
        objective=_view_definition(statement.objective),
        ended=statement.has_ended,
        met=statement.is_met,
        attained=_round(budget.attained),
        valid=budget.counts.valid,
        good=budget.counts.good,
        bad=budget.counts.bad,
        allowed=round(budget.allowed, _DIGITS),
        remaining_ratio=_round(budget.remaining_ratio),
        excluded=sum(job.excluded.valid for job in statement.jobs),
        excluded_seconds=sum(job.excluded_seconds for job in statement.jobs),
        complete=statement.is_complete,
        jobs=list(map(_view_job, statement.jobs)),
    )


def _view_job(measured: MeasuredJob) -> StatementJobModel:
    counts = measured.counts
    return StatementJobModel.from_object(
        measured,
        valid=counts.valid,
        good=counts.good,
        bad=counts.bad,
        attained=_round(counts.good / counts.valid if counts.valid else None),
        excluded=measured.excluded.valid,
        complete=measured.is_complete,
        exclusions=list(map(view_exclusion, measured.exclusions)),
    )


def _view_definition(objective: NamedObjective) -> ObjectiveDefinitionModel:
    return ObjectiveDefinitionModel.from_object(
        objective.definition,
        name=objective.name,
        job=objective.job or None,
        scope=objective.scope,
        jobs=len(objective.jobs),
    )


def _view_burn_rate(window: timedelta, counts: SliCounts, error_ratio: float) -> BurnRateModel:
    return BurnRateModel(
        window=format_duration(window.total_seconds()),
        burn_rate=_round(burn_rate_of(counts, error_ratio)),
        valid=counts.valid,
        bad=counts.bad,
    )


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
