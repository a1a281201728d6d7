"""Default rules for jobs by selector: an entry of `alerting.rules` in job files."""

from __future__ import annotations

from pydantic import Field

from jobs.alerting.rule import AlertRules
from jobs.alerting.selectors import AlertSelector
from jobs.model_base import FrozenModel


class SelectedRules(FrozenModel):
    """The rules of the selected jobs that have no `alerts`. The first entry that selects a job applies to it."""

    select: AlertSelector
    alerts: AlertRules = Field(description="a list of rules; an empty one means none")
