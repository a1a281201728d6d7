"""Objectives and their monthly statements, as the API and `--json` show them.

The JSON form of a statement is also the file that `slo recompute` reads.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import AliasChoices, Field

from jobs.objectives import BudgetStatus
from scheduler.features.statistics.models import ExclusionModel
from scheduler.model_base import ListModel, ResponseModel, example_values


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


class BurnRateModel(ResponseModel):
    """How fast the budget was consumed in a window up to now. `burn_rate`: null if nothing was valid in it."""

    model_config = example_values(window="1h", burn_rate=16.666667, valid=60.0, bad=1.0)

    window: str
    burn_rate: float | None
    valid: float
    bad: float


class ObjectiveDayModel(ResponseModel):
    """A day in UTC, today until now. `attained`: null if nothing counts. `met`: whether it reaches the target."""

    model_config = example_values(day="2026-11-25", valid=1440.0, bad=1.0, attained=0.999306, met=True)

    day: date
    valid: float
    bad: float
    attained: float | None
    met: bool | None


class ObjectiveModel(ObjectivePeriodModel):
    """An objective now, from `from` (a full hour) to now.

    `valid`, `bad`, `allowed` (how many may be bad), `remaining` and `excluded`: runs, or seconds of an objective that
    counts time. `remaining_ratio`: the share of the error budget that is left, negative if it is exhausted.
    `burn_rate`: of the last hour. `exhausted_in_seconds`: when the budget is consumed at this rate; null if it lasts.
    `excluded_seconds`: maintenance windows with `counts: false` and times of a blind scheduler, added over the jobs; of
    an objective that counts time, pauses too. `excluded_by`: seconds by reason, which can overlap. `complete`:
    everything in the period was stored and read. `history`: the last 30 days, the oldest first; empty in a list.
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
        excluded_by={"window": 10800.0},
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
    excluded_by: dict[str, float] = {}
    history: list[ObjectiveDayModel] = []


class ObjectiveList(ListModel[ObjectiveModel]):
    """`burn_rates` of each has the last hour only."""

    objectives: list[ObjectiveModel]
    continuation: str | None


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
