"""Silences: a user holds back the notifications of some alerts until an instant. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from jobs.formats.display_text import DisplayText
from jobs.formats.instants import format_instant
from jobs.incidents.suppression.periods.spans import Once, Periods, Span
from jobs.incidents.suppression.subjects import ExplicitSelector
from jobs.incidents.suppression.windows import MAX_REASON_TEXT
from jobs.model_base import FrozenModel
from jobs.problems import make_printable

LONGEST_SILENCE = timedelta(days=366)


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
        if self.ends_at - self.starts_at > LONGEST_SILENCE:
            raise ValueError(f"ends_at: a silence lasts at most {LONGEST_SILENCE.days} days: write an earlier instant")
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
