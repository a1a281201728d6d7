"""The condition `silent`: a run of the job was due, and none has finished."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from jobs.alerting.alert import Verdict
from jobs.alerting.conditions.base import AlertCondition
from jobs.alerting.facts import AlertNeeds, SampleHistory, SubjectFacts, Thresholds
from jobs.formats import describe_span, format_instant
from jobs.model_base import Duration


class SilentCondition(AlertCondition):
    """`grace`: after the end of the longest run that the job's timeouts and waits allow."""

    EXAMPLE: ClassVar = "silent"

    silent: Literal[True]
    grace: Annotated[Duration, Field(le=86400)] | None = None
    """None: 1 minute."""

    def find_needs(self, thresholds: Thresholds) -> AlertNeeds:
        return AlertNeeds(has_schedule=True, is_timed=True)

    def find_deadline(self, facts: SubjectFacts) -> datetime | None:
        """Return the instant at which the job is silent unless a run finishes before; None if no run is due."""
        if facts.unfinished_since is None:
            return None
        return facts.unfinished_since + facts.longest_run + self.longest_grace

    def judge(
        self, history: SampleHistory, facts: SubjectFacts, now: datetime, is_firing: bool, thresholds: Thresholds
    ) -> Verdict:
        deadline, due = self.find_deadline(facts), facts.unfinished_since
        if deadline is None or due is None:
            return Verdict(False, "no run of the job is due")
        at = format_instant(due)
        if now < deadline:
            return Verdict(False, f"the run that is due at {at} can finish until {format_instant(deadline)}")
        late = describe_span((now - due).total_seconds())
        return Verdict(True, f"the run that was due at {at} has not finished after {late}", due)

    @property
    def longest_grace(self) -> timedelta:
        return timedelta(seconds=60.0 if self.grace is None else self.grace)
