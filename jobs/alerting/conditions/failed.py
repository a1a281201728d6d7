"""The condition `failed`: runs failed, timed out or were rejected by an open circuit."""

from __future__ import annotations

from typing import ClassVar, Literal

from jobs.alerting.conditions.base import SampleCondition
from jobs.alerting.facts import Sample, Threshold


class FailedCondition(SampleCondition):
    """A degraded run is good."""

    EXAMPLE: ClassVar = "failed"
    DEFAULT_OPEN_AFTER: ClassVar = Threshold(3, 3)

    failed: Literal[True]

    def is_bad(self, sample: Sample) -> bool:
        return sample.is_failed

    def describe_bad(self, is_plural: bool) -> str:
        return "failed"
