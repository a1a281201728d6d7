"""Maintenance windows: members of `alerting.windows` in job files, and those that a user or a pipeline requests. Pure.

    windows:
      - {name: patching, schedule: {cron: "0 0 2 * * SUN", timezone: Europe/Berlin}, for: 3h, select: ...}
      - {name: rollout, weekly: {from: FRIDAY 22:00, to: SUNDAY 17:00}, effect: pause, select: {tags: {app: shop}}}
      - {name: work, weekly: {days: MON-FRI, from: "08:00", to: "18:00"}, only_then: true, select: {all: true}}

`effect: silence` (the default): jobs run, and notifications are held back. `effect: pause`: jobs do not run in
addition. With `only_then` the window is the only time at which jobs notify (or run), so that its effect is outside of
it; of several such windows for a job, being inside of one is enough. `counts: false`: alert rules skip the runs
inside a window.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from jobs.formats.display_text import DisplayText
from jobs.incidents.suppression.periods.definition import PeriodDefinition
from jobs.incidents.suppression.periods.spans import CutAt, Once, Periods, state_at
from jobs.incidents.suppression.subjects import ExplicitSelector
from jobs.model_base import FrozenModel

SUPPRESSION_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
MAX_REASON_TEXT = 500
MAX_CHANGE_ID = 100

SuppressionName = Annotated[
    str,
    Field(
        pattern=SUPPRESSION_NAME_PATTERN,
        description="letters, digits, dot, - and _, at most 100, the first a letter or a digit",
    ),
]


class WindowEffect(StrEnum):
    PAUSE = "pause"
    """No runs, hence no notifications."""
    SILENCE = "silence"
    """Runs, but no notifications."""


class MaintenanceWindow(PeriodDefinition):
    """A window with its times, see PeriodDefinition. `change_id`: of a change record, such as CHG0042."""

    name: SuppressionName
    select: ExplicitSelector
    effect: WindowEffect = WindowEffect.SILENCE
    only_then: bool = False
    counts: bool = True
    reason: Annotated[DisplayText, Field(max_length=MAX_REASON_TEXT)] = ""
    change_id: Annotated[DisplayText, Field(max_length=MAX_CHANGE_ID)] = ""

    @model_validator(mode="after")
    def _has_a_possible_effect(self) -> Self:
        if self.effect is WindowEffect.PAUSE and self.select.severities:
            raise ValueError("select.severities: a job is paused whatever its severity: remove it, or effect: pause")
        if self.only_then and self.from_ is not None:
            raise ValueError("only_then: after a single period nothing would notify again: write weekly or schedule")
        return self

    @property
    def described_reason(self) -> str:
        """`release 42 (CHG0042)`."""
        return f"{self.reason} ({self.change_id})" if self.reason and self.change_id else self.reason or self.change_id


class RequestedWindow(FrozenModel):
    """A window that a user or a pipeline has started over the API. It ends by itself, or earlier at `ended_at`.

    `limited_to`: tags of which a job must have one, because the author may only change these; empty: any job.
    """

    id: str
    window: MaintenanceWindow
    author: str
    created_at: datetime
    ended_at: datetime | None = None
    limited_to: tuple[tuple[str, str], ...] = ()

    @field_validator("created_at", "ended_at")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    @model_validator(mode="after")
    def _is_not_the_only_time(self) -> Self:
        if self.window.only_then:
            raise ValueError("only_then: nothing would notify once this window is over: define it in a job file")
        return self

    @property
    def name(self) -> str:
        return self.window.name

    @cached_property
    def periods(self) -> Periods:
        return self.window.periods if self.ended_at is None else CutAt(self.window.periods, self.ended_at)

    @property
    def ends_at(self) -> datetime | None:
        """When it ends for good; None for a window that recurs and was not ended."""
        if self.ended_at is not None:
            return self.ended_at
        return self.window.periods.span.end if isinstance(self.window.periods, Once) else None

    def is_active_at(self, now: datetime) -> bool:
        return state_at(self.periods, now).is_inside
