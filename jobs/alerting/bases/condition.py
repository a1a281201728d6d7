"""The base classes of all conditions. Each condition is one module in jobs.alerting.conditions.

A condition is a frozen model that judges a history and facts. It decides nothing about notifications, and reads no
clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from pydantic import SerializerFunctionWrapHandler, model_serializer

from jobs.alerting.alert import Verdict
from jobs.alerting.needs import AlertNeeds
from jobs.alerting.samples import Sample
from jobs.alerting.series import Series, series_of
from jobs.alerting.subject import SampleHistory, SubjectFacts
from jobs.alerting.thresholds import LARGEST_WINDOW, Threshold, Thresholds
from jobs.model_base import FrozenModel

_MAX_CAUSE_LENGTH = 200


class AlertCondition(FrozenModel):
    """A condition, identified by its key: its first required field."""

    EXAMPLE: ClassVar[str]
    """A valid form, for messages."""
    COUNTS_SAMPLES: ClassVar[bool] = False
    """Whether `open_after` and `close_after` apply."""
    DEFAULT_OPEN_AFTER: ClassVar[Threshold] = Threshold(1, 1)
    DEFAULT_SEVERITY: ClassVar[str] = "down"

    @classmethod
    def condition_key(cls) -> str:
        return next(name for name, field in cls.model_fields.items() if field.is_required())

    def find_needs(self, thresholds: Thresholds) -> AlertNeeds:
        """Return what `judge` reads."""
        raise NotImplementedError

    def is_bad(self, sample: Sample) -> bool:
        """Return whether the sample counts towards the condition. False for conditions about facts."""
        return False

    def judge(
        self, history: SampleHistory, facts: SubjectFacts, now: datetime, is_firing: bool, thresholds: Thresholds
    ) -> Verdict:
        """Return whether the condition is met, with the numbers that decided. `history`: as the rule counts it.

        `is_firing`: an alert that fires closes by other numbers than those that open it.
        """
        raise NotImplementedError

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> Any:
        values = {key: value for key, value in write(self).items() if value is not None}
        key = self.condition_key()
        return key if values == {key: True} else values


class SampleCondition(AlertCondition):
    """A condition about single runs: so many of the last ones are bad."""

    COUNTS_SAMPLES: ClassVar[bool] = True

    def describe_bad(self, is_plural: bool) -> str:
        """Return what bad runs did: `failed`, `were degraded`."""
        raise NotImplementedError

    def describe_cause(self, sample: Sample) -> str:
        """Return what was wrong with a bad sample; empty if nothing more is known."""
        return describe_failure(sample)

    def find_needs(self, thresholds: Thresholds) -> AlertNeeds:
        return AlertNeeds(samples=max(thresholds.open_after.window, thresholds.close_after or 0))

    def judge(
        self, history: SampleHistory, facts: SubjectFacts, now: datetime, is_firing: bool, thresholds: Thresholds
    ) -> Verdict:
        threshold = thresholds.open_after
        held = LARGEST_WINDOW if threshold.is_consecutive else threshold.window
        samples = history.samples[-LARGEST_WINDOW:]
        series = series_of([(sample, self.is_bad(sample)) for sample in samples], held)
        if not series.count:
            return Verdict(None, "no run counts yet")
        bad = [sample for sample in samples[-threshold.window :] if self.is_bad(sample)]
        evidence = self._describe(series, bad, threshold)
        if is_met_by(series, is_firing, thresholds):
            return Verdict(True, evidence, series.failing_since(threshold))
        good = series.good_in_a_row
        latest = f"the latest {good} runs are good" if good > 1 else "the latest run is good"
        return Verdict(False, f"{evidence}; {latest}" if good and bad else evidence)

    def _describe(self, series: Series, bad: Sequence[Sample], threshold: Threshold) -> str:
        total = min(series.count, threshold.window)
        did = self.describe_bad(len(bad) > 1)
        if not bad:
            return f"none of the last {total} runs {did}" if total > 1 else "the latest run is good"
        cause = self.describe_cause(bad[-1])
        more = f": {cause}" if cause else ""
        if len(bad) == total:
            return f"the last {f'{total} runs' if total > 1 else 'run'} {did}{more}"
        return f"{len(bad)} of the last {total} runs {did}{more}"


def is_met_by(series: Series, is_firing: bool, thresholds: Thresholds) -> bool:
    """Return whether the samples of a series keep an alert firing, or open one that does not fire."""
    is_reached = thresholds.open_after.is_reached(series.bits)
    if thresholds.close_after is not None:
        is_closed = series.good_in_a_row >= thresholds.close_after
        # What closes an alert keeps it from opening again with the same samples.
        return not is_closed and (is_firing or is_reached)
    return is_reached or (is_firing and series.is_last_bad)


def describe_failure(sample: Sample) -> str:
    """Return the message of a run, or its class of error, for the end of a sentence."""
    text = sample.message.strip().rstrip(".") or (sample.error.value.replace("_", " ") if sample.error else "")
    return text if len(text) <= _MAX_CAUSE_LENGTH else text[: _MAX_CAUSE_LENGTH - 1] + "…"
