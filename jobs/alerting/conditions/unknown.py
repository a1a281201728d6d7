"""The condition `unknown`: runs could not tell the state of the target, such as for the lack of a role."""

from __future__ import annotations

from typing import ClassVar, Literal

from jobs.alerting.conditions.base import SampleCondition
from jobs.alerting.facts import Sample, Threshold


class UnknownCondition(SampleCondition):
    """Any other run is good, whether the target is up or down: it was checked."""

    EXAMPLE: ClassVar = "unknown"
    COUNTS_UNKNOWN: ClassVar = True
    DEFAULT_OPEN_AFTER: ClassVar = Threshold(3, 3)
    DEFAULT_SEVERITY: ClassVar = "degraded"

    unknown: Literal[True]

    def is_bad(self, sample: Sample) -> bool:
        return sample.is_unknown

    def describe_bad(self, is_plural: bool) -> str:
        return "were unknown" if is_plural else "was unknown"
