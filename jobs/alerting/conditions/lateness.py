"""The condition `lateness_above`: runs started later after their due instant than allowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from pydantic import Field

from jobs.alerting.conditions.base import SampleCondition
from jobs.alerting.facts import Sample
from jobs.formats import describe_milliseconds, describe_seconds
from jobs.model_base import Duration
from jobs.runs.waits import describe_waits

_MAX_NAMED_WAITS: Final = 2
"""Waits of the run that was most late, which the evidence names."""


class LatenessCondition(SampleCondition):
    """Concerns the scheduler and its host rather than the target."""

    EXAMPLE: ClassVar = "{lateness_above: 1m}"
    DEFAULT_SEVERITY: ClassVar = "degraded"

    lateness_above: Annotated[Duration, Field(le=86400)]

    def is_bad(self, sample: Sample) -> bool:
        return sample.lateness_ms > self.lateness_above * 1000

    def describe_bad(self, is_plural: bool) -> str:
        return f"started more than {describe_seconds(self.lateness_above)} late"

    def select_cause(self, bad: Sequence[Sample]) -> Sample:
        return max(bad, key=lambda sample: sample.lateness_ms)

    def describe_cause(self, sample: Sample) -> str:
        waited = describe_waits(sample.waits, sample.lateness_ms, _MAX_NAMED_WAITS)
        return f"{describe_milliseconds(sample.lateness_ms)} late{f', waited {waited}' if waited else ''}"
