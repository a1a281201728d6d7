"""The models of objectives: `slo` of a job, and the entries of the section `objectives` of job files.

Used by jobs.definition.job and config.job_files. jobs.definition.objectives.finding lists those of a set of jobs.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from jobs.alerting.selectors import AlertSelector
from jobs.formats.display_text import DisplayText
from jobs.model_base import FrozenModel
from jobs.objectives.windows import ObjectiveWindow


def _read_target(value: object) -> float:
    """Read `99.9` or `99.9%`."""
    text = value.strip().removesuffix("%").strip() if isinstance(value, str) else value
    try:
        if isinstance(text, bool) or not isinstance(text, (str, int, float)):
            raise ValueError
        target = float(text)
    except ValueError:
        raise ValueError(f"{str(value)[:40]!r} is not a percentage: write 99.9 for 99.9%") from None
    if math.isclose(target, 100) or target > 100:
        raise ValueError(f"{target:g} leaves no error budget: the largest target is 99.999")
    if not target >= 50:
        meant = f"write {target * 100:g}" if 0.5 <= target < 1 else "the smallest target is 50"
        raise ValueError(f"{target:g} percent is too small for a target: {meant}")
    if target > 99.999:
        raise ValueError(f"{target:.8g} is too large: the largest target is 99.999")
    return target


_Target = Annotated[
    float,
    BeforeValidator(_read_target, json_schema_input_type=float | str),
    Field(description="percent of runs or of time that must be good, such as 99.9"),
]


class JobObjective(FrozenModel):
    """`slo` of a job: the share of its runs, or of time, that must be good in a window."""

    target: _Target
    window: ObjectiveWindow = Field(default="30d", description="7d, 28d, 30d or 90d until now, or month")
    counts: Literal["runs", "time"] = Field(
        default="runs", description="runs: good runs among valid runs; time: uptime by time, from its alerts"
    )
    degraded: Literal["good", "bad"] = Field(default="good", description="what a degraded run counts as")
    description: DisplayText = Field(default="", max_length=500, description="text for people")
    owner: DisplayText = Field(default="", max_length=200, description="who answers for it")

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
