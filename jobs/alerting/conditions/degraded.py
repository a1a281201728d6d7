"""The condition `degraded`: runs were degraded or failed."""

from __future__ import annotations

from typing import ClassVar, Literal

from jobs.alerting.conditions.base import SampleCondition
from jobs.alerting.facts import Sample, Threshold


class DegradedCondition(SampleCondition):
    """A failed run is bad too: an alert must not close because the target got worse."""

    EXAMPLE: ClassVar = "degraded"
    DEFAULT_OPEN_AFTER: ClassVar = Threshold(3, 3)
    DEFAULT_SEVERITY: ClassVar = "degraded"

    degraded: Literal[True]

    def is_bad(self, sample: Sample) -> bool:
        return not sample.is_good

    def describe_bad(self, is_plural: bool) -> str:
        return "were degraded or failed" if is_plural else "was degraded or failed"
