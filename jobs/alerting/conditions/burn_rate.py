"""The condition `burn_rate`: the error budget of an objective is consumed too fast, in a long and in a short window.

The short window ends the alert soon after the trouble: https://sre.google/workbook/alerting-on-slos/, section 6. The
evaluation counts the runs of both windows from rollups, so that the runs of days are not read.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from jobs.alerting.alert import Verdict
from jobs.alerting.conditions.base import AlertCondition, TargetField
from jobs.alerting.facts import AlertNeeds, Sample, SampleHistory, SubjectFacts, Thresholds
from jobs.formats import describe_span
from jobs.model_base import Duration
from jobs.objectives import SliCounts, burn_rate_of, error_ratio_of

MAX_BURN_WINDOW = 7 * 86400.0
_BurnWindow = Annotated[Duration, Field(ge=60, le=MAX_BURN_WINDOW)]


class BurnRateCondition(AlertCondition):
    """Met while the burn rates of both windows are above `burn_rate`, and enough runs of the long one are bad."""

    EXAMPLE: ClassVar = "{burn_rate: 14.4, target: 99.9, window: 1h, short_window: 5m}"

    burn_rate: float = Field(gt=0, le=100_000)
    target: TargetField
    window: _BurnWindow = 3600.0
    short_window: _BurnWindow = 300.0
    minimum_bad_runs: int = Field(default=2, ge=1, le=1_000_000)
    degraded_runs: Literal["good", "bad"] = "good"

    @model_validator(mode="after")
    def _check_windows(self) -> Self:
        if self.short_window >= self.window:
            raise ValueError("short_window must be shorter than window: a twelfth of it is usual")
        highest = 1 / error_ratio_of(self.target)
        if self.burn_rate >= highest:
            raise ValueError(
                f"with the target {self.target:g}% the burn rate is {highest:.4g} when every run is bad: "
                f"it is never above {self.burn_rate:g}"
            )
        return self

    @property
    def is_degraded_bad(self) -> bool:
        return self.degraded_runs == "bad"

    def find_needs(self, thresholds: Thresholds) -> AlertNeeds:
        windows = (timedelta(seconds=self.window), timedelta(seconds=self.short_window))
        return AlertNeeds(
            counts_within=frozenset((window, self.is_degraded_bad) for window in windows),
            met_within=timedelta(seconds=self.short_window),
            is_timed=True,
        )

    def is_bad(self, sample: Sample) -> bool:
        return sample.is_failed or (self.is_degraded_bad and sample.is_degraded)

    def judge(
        self, history: SampleHistory, facts: SubjectFacts, now: datetime, is_firing: bool, thresholds: Thresholds
    ) -> Verdict:
        long, short = self._find_counts(facts, self.window), self._find_counts(facts, self.short_window)
        if long is None or short is None:
            return Verdict(None, "the runs of the windows are not counted")
        rates = [burn_rate_of(counts, error_ratio_of(self.target)) for counts in (long, short)]
        is_above = all(rate is not None and rate > self.burn_rate for rate in rates)
        is_met = is_above and long.bad >= self.minimum_bad_runs
        evidence = (
            f"{_describe(long, rates[0], self.window)}, {_describe(short, rates[1], self.short_window)}: "
            f"{'both' if is_above else 'not both'} above {self.burn_rate:g}, for the target {self.target:g}%"
        )
        if is_above and not is_met:
            evidence += f", but {long.bad:g} bad runs are fewer than {self.minimum_bad_runs}"
        return Verdict(is_met, evidence)

    def _find_counts(self, facts: SubjectFacts, window: float) -> SliCounts | None:
        counts = facts.run_counts
        return None if counts is None else counts.get((timedelta(seconds=window), self.is_degraded_bad))


def _describe(counts: SliCounts, rate: float | None, window: float) -> str:
    within = f"in the last {describe_span(window)}"
    if rate is None:
        return f"no run counts {within}"
    return f"the burn rate is {rate:.1f} {within} ({counts.bad:g} of {counts.valid:g} runs bad)"
