"""Maintenance windows and silences: which alerts they select, and when they apply. Pure.

    windows:
      - {name: patching, schedule: {cron: "0 0 2 * * SUN", timezone: Europe/Berlin}, for: 3h, select: ...}
      - {name: rollout, weekly: {from: FRIDAY 22:00, to: SUNDAY 17:00}, effect: pause, select: {tags: {app: shop}}}
      - {name: work, weekly: {days: MON-FRI, from: "08:00", to: "18:00"}, only_then: true, select: {all: true}}

`effect: silence` (the default): jobs run, and notifications are held back. `effect: pause`: jobs do not run in
addition. With `only_then` the window is the only time at which jobs notify (or run), so that its effect is outside of
it; of several such windows for a job, being inside of one is enough. `counts: false`: alert rules skip the runs inside
a window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from jobs.alerting.selectors import DeliberateSelector, SelectedTexts, SelectorBase, matches_tag_pattern
from jobs.fast_frozen import fast_frozen
from jobs.formats import format_instant
from jobs.incidents.suppression.periods import PeriodDefinition
from jobs.incidents.suppression.spans import CutAt, Once, Periods, Span, state_at
from jobs.model_base import DisplayText, FrozenModel
from jobs.problems import make_printable

_MAX_LISTED = 3
"""Names, tags or values of one kind in a scope."""
_MAX_SCOPE = 120
"""Characters of a scope."""


@fast_frozen(frozen=True, slots=True)
class AlertSubject:
    """`name`: of the job, group or objective. `kind`: of its check, or `group`, `objective` or `scheduler`.

    `severity`: of the alert, or the highest of an incident; empty where none is known, such as for a job itself.
    """

    name: str
    kind: str = ""
    severity: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class SubjectSelector(SelectorBase):
    """Selects subjects of alerts: by severity, too. `jobs`: names of jobs, groups and objectives. Empty: everything."""

    OTHER_KINDS = ("group", "objective", "scheduler")

    severities: SelectedTexts = Field(
        default=(), description="the severity of the alert, or the highest of an incident"
    )

    @property
    def is_empty(self) -> bool:
        return super().is_empty and not self.severities

    @property
    def scope(self) -> str:
        """Return what is selected in few words: `checkout`, `team=payments`, `severity down`."""
        parts = [_list_some(self.jobs)] if self.jobs else []
        parts += [f"{key}={_list_some(values)}" for key, values in list(self.tags.items())[:_MAX_LISTED]]
        parts += [f"kind {_list_some(self.kinds)}"] if self.kinds else []
        parts += [f"severity {_list_some(self.severities)}"] if self.severities else []
        return make_printable(", ".join(parts) or "everything", _MAX_SCOPE)

    def matches(self, subject: AlertSubject) -> bool:
        return (not self.severities or subject.severity in self.severities) and self.selects(
            subject.name, subject.tags, subject.kind
        )

    def matches_any_severity_of(self, subject: AlertSubject) -> bool:
        """Return whether an alert of the subject could match, whatever its severity."""
        return self.selects(subject.name, subject.tags, subject.kind)

    def find_mismatch(self, subject: AlertSubject) -> str:
        """Return a clause such as `the tag team is web, not payments`; empty if the subject matches."""
        return (
            self._name_mismatch(subject)
            or self._tag_mismatch(subject)
            or self._kind_mismatch(subject)
            or self._severity_mismatch(subject)
        )

    def _name_mismatch(self, subject: AlertSubject) -> str:
        if not self.jobs or any(fnmatchcase(subject.name, pattern) for pattern in self.jobs):
            return ""
        return f"the name is {subject.name}, not {_join(self.jobs)}"

    def _tag_mismatch(self, subject: AlertSubject) -> str:
        for key, values in self.tags.items():
            found = subject.tags.get(key)
            if found is None:
                return f"there is no tag {key}"
            if found not in values and not matches_tag_pattern(found, values):
                return f"the tag {key} is {found}, not {_join(values)}"
        return ""

    def _kind_mismatch(self, subject: AlertSubject) -> str:
        if not self.kinds or subject.kind in self.kinds:
            return ""
        return f"the kind is {subject.kind or 'unknown'}, not {_join(self.kinds)}"

    def _severity_mismatch(self, subject: AlertSubject) -> str:
        if not self.severities or subject.severity in self.severities:
            return ""
        return f"the severity is {subject.severity or 'unknown'}, not {_join(self.severities)}"


class ExplicitSelector(DeliberateSelector, SubjectSelector):
    """A selector of subjects for which selecting everything is deliberate: `all: true`."""


def _list_some(values: tuple[str, ...]) -> str:
    more = f" or {len(values) - _MAX_LISTED} more" if len(values) > _MAX_LISTED else ""
    return " or ".join(values[:_MAX_LISTED]) + more


def _join(values: tuple[str, ...]) -> str:
    return " or ".join(values)


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


MAX_SILENCE = timedelta(days=366)


class Silence(FrozenModel):
    """From `starts_at`, inclusive, to `ends_at`, exclusive. `limited_to`: see RequestedWindow."""

    id: str
    select: ExplicitSelector
    starts_at: datetime
    ends_at: datetime
    author: str
    created_at: datetime
    reason: Annotated[DisplayText, Field(max_length=MAX_REASON_TEXT)] = ""
    limited_to: tuple[tuple[str, str], ...] = ()

    @field_validator("starts_at", "ends_at", "created_at")
    @classmethod
    def _in_utc(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("has no offset: write it like 2026-12-01T22:00:00Z")
        return value.astimezone(UTC)

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.ends_at <= self.starts_at:
            start, end = format_instant(self.starts_at), format_instant(self.ends_at)
            raise ValueError(f"ends_at: {end} is not after starts_at, {start}: write a later instant")
        if self.ends_at - self.starts_at > MAX_SILENCE:
            raise ValueError(f"ends_at: a silence lasts at most {MAX_SILENCE.days} days: write an earlier instant")
        return self

    @property
    def name(self) -> str:
        return self.id

    @property
    def scope(self) -> str:
        """Return what it selects, such as `team=payments`."""
        tags = " or ".join(f"{key}={value}" for key, value in self.limited_to[:3])
        return make_printable(f"{self.select.scope} (only {tags})" if tags else self.select.scope, 200)

    @property
    def title(self) -> str:
        """Return the reason, or else `silence of team=payments`."""
        return self.reason or f"silence of {self.scope}"

    @cached_property
    def periods(self) -> Periods:
        return Once(Span(self.starts_at, self.ends_at))

    def is_active_at(self, now: datetime) -> bool:
        return self.starts_at <= now < self.ends_at
