"""The condition `heartbeat_missed`: no ping arrived in time."""

from __future__ import annotations

from typing import ClassVar, Literal

from jobs.alerting.conditions.base import SampleCondition
from jobs.alerting.facts import Sample
from jobs.runs.outcomes import ErrorClass


class HeartbeatMissedCondition(SampleCondition):
    """For jobs of the kind heartbeat. A ping that reports a failure is not a missed one: `failed` finds both."""

    EXAMPLE: ClassVar = "heartbeat_missed"

    heartbeat_missed: Literal[True]

    def is_bad(self, sample: Sample) -> bool:
        return sample.error is ErrorClass.HEARTBEAT_MISSING

    def describe_bad(self, is_plural: bool) -> str:
        return "found no ping in time"
