"""The key `alerts` of an objective: burn alerts, and what is done when they fire.

Used by jobs.definition.objectives.objective; the rules that they mean: jobs.definition.objectives.burn_rules.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from jobs.alerting.rule import SEVERITY_PATTERN, AlertTime, ChannelNames, Escalation, check_runbook
from jobs.formats.display_text import DisplayText
from jobs.model_base import FrozenModel


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
