"""The base class of conditions about the samples in a window of time: shares and percentiles.

With fewer than `minimum_runs` samples the condition is not known and the alert is unchanged. The window need not be
full.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import Field

from jobs.alerting.alert import Verdict
from jobs.alerting.bases.condition import AlertCondition
from jobs.alerting.needs import AlertNeeds
from jobs.alerting.samples import Sample
from jobs.alerting.subject import SampleHistory, SubjectFacts
from jobs.alerting.thresholds import LARGEST_WINDOW, Thresholds
from jobs.formats.counts import format_count
from jobs.formats.durations import describe_span
from jobs.model_base import Duration

LONGEST_ALERT_WINDOW = 7 * 86400.0
"""Seconds. The runs of the window are read for each judgement."""
AlertWindow = Annotated[Duration, Field(ge=1, le=LONGEST_ALERT_WINDOW)]


class WindowCondition(AlertCondition):
    """Compares one number of the window with a limit. `close_at` differs from it for hysteresis."""

    DEFAULT_SEVERITY: ClassVar[str] = "down"

    window: AlertWindow = 3600.0
    minimum_runs: int = Field(default=10, ge=1, le=LARGEST_WINDOW)

    def select_measured(self, samples: Sequence[Sample]) -> Sequence[Sample]:
        """Return the samples of which the number is computed."""
        return samples

    def measure(self, samples: Sequence[Sample]) -> float:
        """Return the number of at least one sample."""
        raise NotImplementedError

    def is_beyond(self, value: float, is_firing: bool) -> bool:
        raise NotImplementedError

    def describe(self, value: float, samples: Sequence[Sample], is_firing: bool) -> str:
        """Return the sentence without the window, such as `18 of 20 runs succeeded (90%), less than 95%`."""
        raise NotImplementedError

    def find_needs(self, thresholds: Thresholds) -> AlertNeeds:
        return AlertNeeds(window=timedelta(seconds=self.window), is_timed=True)

    def judge(
        self, history: SampleHistory, facts: SubjectFacts, now: datetime, is_firing: bool, thresholds: Thresholds
    ) -> Verdict:
        samples = self.select_measured(history.select_window(now, timedelta(seconds=self.window)))
        within = f"in the last {describe_span(self.window)}"
        if len(samples) < self.minimum_runs:
            return Verdict(
                None,
                f"{format_count(len(samples), 'run counts', 'runs count')} {within}, {self.minimum_runs} are required",
            )
        value = self.measure(samples)
        evidence = f"{self.describe(value, samples, is_firing)} {within}"
        if not self.is_beyond(value, is_firing):
            return Verdict(False, evidence)
        since = next((sample.finished_at for sample in samples if self.is_bad(sample)), None)
        return Verdict(True, evidence, since)
