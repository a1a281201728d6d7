"""The condition `dead_letters_above`: the job produced more dead letters in a window than allowed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field

from jobs.alerting.alert import Verdict
from jobs.alerting.conditions.base import AlertCondition, AlertWindow
from jobs.alerting.facts import AlertNeeds, SampleHistory, SubjectFacts, Thresholds
from jobs.formats import describe_span, format_count


class DeadLettersCondition(AlertCondition):
    """The alert closes when enough dead letters are older than the window."""

    EXAMPLE: ClassVar = "{dead_letters_above: 0, window: 1h}"

    dead_letters_above: int = Field(ge=0, le=1_000_000)
    window: AlertWindow = 3600.0

    def find_needs(self, thresholds: Thresholds) -> AlertNeeds:
        return AlertNeeds(dead_letters_within=timedelta(seconds=self.window), is_timed=True)

    def judge(
        self, history: SampleHistory, facts: SubjectFacts, now: datetime, is_firing: bool, thresholds: Thresholds
    ) -> Verdict:
        if facts.dead_letters is None:
            return Verdict(None, "the dead letters of the job are not known")
        start = now - timedelta(seconds=self.window)
        created = sorted(at for at in facts.dead_letters if at > start)
        is_met = len(created) > self.dead_letters_above
        letters = format_count(len(created), "dead letter")
        than = "more than" if is_met else "at most"
        evidence = f"{letters} in the last {describe_span(self.window)}, {than} {self.dead_letters_above}"
        return Verdict(is_met, evidence, created[0] if is_met else None)
