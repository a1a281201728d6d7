"""The models of objectives: `slo` of a job, and the entries of the section `objectives` of job files.

Used by jobs.definition.job and config.job_files. jobs.definition.objectives.finding lists those of a set of jobs.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from jobs.alerting.selectors import AlertSelector
from jobs.definition.objectives.burn_alerts import BurnAlertsField
from jobs.formats.display_text import DisplayText, DisplayTexts
from jobs.model_base import FrozenModel
from jobs.objectives.target import TargetField
from jobs.objectives.windows import ObjectiveWindow


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
