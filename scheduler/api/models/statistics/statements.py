"""Response models of monthly statements. The JSON form is also the file that `slo recompute` reads."""

from __future__ import annotations

from scheduler.api.models.base import ResponseModel, example_values
from scheduler.api.models.statistics.objectives import ObjectiveDefinitionModel, ObjectivePeriodModel, round_ratio
from scheduler.features.statistics.models import ExclusionModel
from scheduler.queries.objectives.measuring import MeasuredJob
from scheduler.queries.objectives.reader import ObjectiveStatement


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
