"""The models of objectives: `slo` of a job, and the entries of the section `objectives` of job files."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from jobs.alerting.conditions.base import TargetField
from jobs.alerting.rule import SEVERITY_PATTERN, AlertTime, ChannelNames, Escalation, check_runbook
from jobs.alerting.selectors import AlertSelector
from jobs.model_base import DisplayText, DisplayTexts, FrozenModel
from jobs.objectives import ObjectiveWindow


class BurnAlertOptions(FrozenModel):
    """What is done when one of the two alerts of an urgency fires. Keys are those of alert rules."""

    severity: str = Field(default="", pattern=rf"^$|{SEVERITY_PATTERN}", description="default: down, or degraded")
    notify: ChannelNames = Field(default=(), description="channels; without them the routes decide")
    remind_every: Annotated[AlertTime, Field(ge=60)] | None = Field(default=None, description="default: never")
    escalate: tuple[Escalation, ...] = Field(default=(), max_length=10, description="further channels")
    runbook: Annotated[DisplayText, Field(max_length=500), AfterValidator(check_runbook)] = Field(
        default="", description="link to what to do"
    )


def _read_options(value: Any) -> Any:
    """Read true as the defaults, and false as none."""
    if isinstance(value, bool):
        return {} if value else None
    return value


_Options = Annotated[
    BurnAlertOptions | None, BeforeValidator(_read_options, json_schema_input_type=bool | BurnAlertOptions | None)
]


class BurnAlerts(FrozenModel):
    """`page`: the budget is consumed within days; someone must act now. `ticket`: within the window; within days."""

    page: _Options = Field(default=BurnAlertOptions(), description="burn rates 14.4 and 6; false: no such alerts")
    ticket: _Options = Field(default=BurnAlertOptions(), description="burn rates 3 and 1; false: no such alerts")
    minimum_bad_runs: int = Field(
        default=2, ge=1, le=1_000_000, description="bad runs in the long window without which no alert fires"
    )


BurnAlertsField = Annotated[
    BurnAlerts | None, BeforeValidator(_read_options, json_schema_input_type=bool | BurnAlerts | None)
]
"""`alerts: true`, false, or a mapping."""


class JobObjective(FrozenModel):
    """`slo` of a job: the share of its runs, or of time, that must be good in a window."""

    target: TargetField
    window: ObjectiveWindow = Field(default="30d", description="7d, 28d, 30d or 90d until now, or month")
    counts: Literal["runs", "time"] = Field(
        default="runs", description="runs: good runs among valid runs; time: uptime by time, from its alerts"
    )
    degraded: Literal["good", "bad"] = Field(default="good", description="what a degraded run counts as")
    description: DisplayText = Field(default="", max_length=500, description="text for people")
    owner: DisplayText = Field(default="", max_length=200, description="who answers for it")

    alerts: BurnAlertsField = Field(default=None, description="burn alerts: true, false, or what each of them does")

    @model_validator(mode="after")
    def _check_alerts(self) -> Self:
        if self.counts == "time" and self.alerts is not None:
            raise ValueError(
                "alerts: burn alerts count runs, and counts: time itself follows from alerts: "
                "write counts: runs, or remove alerts"
            )
        return self

    @model_validator(mode="after")
    def _check_degraded(self) -> Self:
        if self.counts == "time" and self.degraded == "bad":
            raise ValueError(
                "degraded: bad applies to counts: runs; by time, a rule about degraded runs with "
                "counts_as_downtime: true makes them downtime"
            )
        return self

    @property
    def unit(self) -> str:
        return "runs" if self.counts == "runs" else "seconds"

    @property
    def is_degraded_bad(self) -> bool:
        return self.degraded == "bad"


class SelectedObjective(JobObjective):
    """An entry of `objectives`: one objective over all selected jobs together."""

    select: AlertSelector
    tags: DisplayTexts = Field(default_factory=dict, description="for the routes of its burn alerts, as tags of a job")
