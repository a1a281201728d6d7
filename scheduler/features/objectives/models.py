"""Response models of objectives and of their monthly statements.

The JSON form of a statement is also the file that `slo recompute` reads.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import AliasChoices, Field

from jobs.definition.job_alerts import NamedObjective
from jobs.formats import format_duration
from jobs.objectives import BudgetStatus, SliCounts, burn_rate_of
from scheduler.features.objectives.queries import MeasuredJob, ObjectiveState, ObjectiveStatement
from scheduler.features.statistics.models import ExclusionModel
from scheduler.model_base import ResponseModel, example_values

_DIGITS = 6


class ObjectivePeriodModel(ResponseModel):
    model_config = {"serialize_by_alias": True}

    since: datetime = Field(validation_alias=AliasChoices("from", "since"), serialization_alias="from")
    until: datetime = Field(validation_alias=AliasChoices("to", "until"), serialization_alias="to")


class ObjectiveDefinitionModel(ResponseModel):
    """`job`: null for an objective over several jobs. `target`: percent."""

    model_config = example_values(
        name="checkout-api",
        job="checkout-api",
        scope="job checkout-api",
        jobs=1,
        target=99.9,
        window="30d",
        counts="runs",
        degraded="good",
        description="Checkout answers",
        owner="payments",
    )

    name: str
    job: str | None
    scope: str
    jobs: int
    target: float
    window: str
    counts: Literal["runs", "time"]
    degraded: Literal["good", "bad"]
    description: str
    owner: str

    @classmethod
    def from_objective(cls, objective: NamedObjective) -> ObjectiveDefinitionModel:
        defined = objective.definition
        return cls(
            name=objective.name,
            job=objective.job or None,
            scope=objective.scope,
            jobs=len(objective.jobs),
            target=defined.target,
            window=defined.window,
            counts=defined.counts,
            degraded=defined.degraded,
            description=defined.description,
            owner=defined.owner,
        )


class BurnRateModel(ResponseModel):
    """How fast the budget was consumed in a window up to now. `burn_rate`: null if nothing was valid in it."""

    model_config = example_values(window="1h", burn_rate=16.666667, valid=60.0, bad=1.0)

    window: str
    burn_rate: float | None
    valid: float
    bad: float

    @classmethod
    def from_counts(cls, window: timedelta, counts: SliCounts, error_ratio: float) -> BurnRateModel:
        return cls(
            window=format_duration(window.total_seconds()),
            burn_rate=round_ratio(burn_rate_of(counts, error_ratio)),
            valid=counts.valid,
            bad=counts.bad,
        )


class ObjectiveModel(ObjectivePeriodModel):
    """An objective now, from `from` (a full hour) to now.

    `valid`, `bad`, `allowed` (how many may be bad), `remaining` and `excluded`: runs, or seconds of an objective that
    counts time. `remaining_ratio`: the share of the error budget that is left, negative if it is exhausted.
    `burn_rate`: of the last hour. `exhausted_in_seconds`: when the budget is consumed at this rate; null if it lasts.
    `excluded_seconds`: maintenance windows with `counts: false` and times of a blind scheduler, added over the jobs; of
    an objective that counts time, pauses too. `complete`: everything in the period was stored and read.
    """

    model_config = example_values(
        status="burning",
        text="99.95% was good, target 99.9%: 50% of the error budget is left (21.6 runs of 43.2 runs are used).",
        attained=0.9995,
        valid=43200.0,
        bad=21.6,
        allowed=43.2,
        remaining=21.6,
        remaining_ratio=0.5,
        burn_rate=16.666667,
        exhausted_in_seconds=77760.0,
    )

    objective: ObjectiveDefinitionModel
    status: BudgetStatus
    text: str
    attained: float | None
    valid: float
    bad: float
    allowed: float
    remaining: float
    remaining_ratio: float | None
    burn_rate: float | None
    exhausted_in_seconds: float | None
    excluded: float
    excluded_seconds: float
    complete: bool
    burn_rates: list[BurnRateModel]

    @classmethod
    def from_state(cls, state: ObjectiveState) -> ObjectiveModel:
        budget, left = state.budget, state.time_left
        return cls(
            since=state.since,
            until=state.until,
            objective=ObjectiveDefinitionModel.from_objective(state.objective),
            status=state.status,
            text=state.text,
            attained=round_ratio(budget.attained),
            valid=budget.counts.valid,
            bad=budget.counts.bad,
            allowed=round(budget.allowed, _DIGITS),
            remaining=round(budget.remaining, _DIGITS),
            remaining_ratio=round_ratio(budget.remaining_ratio),
            burn_rate=round_ratio(state.present_burn_rate),
            exhausted_in_seconds=None if left is None else round(left.total_seconds(), 3),
            excluded=state.excluded.valid,
            excluded_seconds=state.excluded_seconds,
            complete=state.is_complete,
            burn_rates=[
                BurnRateModel.from_counts(window, counts, budget.error_ratio)
                for window, counts in state.windows.items()
            ],
        )


class ObjectiveList(ResponseModel):
    """`burn_rates` of each has the last hour only."""

    objectives: list[ObjectiveModel]
    continuation: str | None


def round_ratio(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


class StatementJobModel(ResponseModel):
    """One job in a month. `excluded`: runs (or seconds) that do not count. `exclusions` can overlap."""

    model_config = example_values(
        job="checkout-api",
        valid=43020.0,
        good=42998.0,
        bad=22.0,
        attained=0.999489,
        excluded=180.0,
        excluded_seconds=10800.0,
    )

    job: str
    valid: float
    good: float
    bad: float
    attained: float | None
    excluded: float
    excluded_seconds: float
    complete: bool
    exclusions: list[ExclusionModel]

    @classmethod
    def from_job(cls, measured: MeasuredJob) -> StatementJobModel:
        counts = measured.counts
        return cls(
            job=measured.job,
            valid=counts.valid,
            good=counts.good,
            bad=counts.bad,
            attained=round_ratio(counts.good / counts.valid if counts.valid else None),
            excluded=measured.excluded.valid,
            excluded_seconds=measured.excluded_seconds,
            complete=measured.is_complete,
            exclusions=[ExclusionModel.from_exclusion(each) for each in measured.exclusions],
        )


class ObjectiveStatementModel(ObjectivePeriodModel):
    """An objective in a calendar month in UTC, until now if it has not `ended`.

    `met`: whether the attained share reaches the target; null if nothing counts. Other values: see ObjectiveModel.
    """

    model_config = example_values(
        month="2026-10", ended=True, met=True, attained=0.999489, valid=43020.0, good=42998.0, bad=22.0, allowed=43.02
    )

    objective: ObjectiveDefinitionModel
    month: str
    ended: bool
    met: bool | None
    attained: float | None
    valid: float
    good: float
    bad: float
    allowed: float
    remaining_ratio: float | None
    excluded: float
    excluded_seconds: float
    complete: bool
    jobs: list[StatementJobModel]

    @classmethod
    def from_statement(cls, statement: ObjectiveStatement) -> ObjectiveStatementModel:
        budget = statement.budget
        return cls(
            since=statement.since,
            until=statement.until,
            objective=ObjectiveDefinitionModel.from_objective(statement.objective),
            month=statement.month,
            ended=statement.has_ended,
            met=statement.is_met,
            attained=round_ratio(budget.attained),
            valid=budget.counts.valid,
            good=budget.counts.good,
            bad=budget.counts.bad,
            allowed=round(budget.allowed, 6),
            remaining_ratio=round_ratio(budget.remaining_ratio),
            excluded=sum(each.excluded.valid for each in statement.jobs),
            excluded_seconds=sum(each.excluded_seconds for each in statement.jobs),
            complete=statement.is_complete,
            jobs=[StatementJobModel.from_job(each) for each in statement.jobs],
        )
