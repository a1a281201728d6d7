"""The base classes of all conditions, and what several conditions use. Each condition is one module here.

A condition is a frozen model that judges a history and facts. It decides nothing about notifications, and reads no
clock. A share is a fraction from 0 to 1 in code, the target of an objective a float of percent.

With fewer than `minimum_runs` samples in its window, a condition is not known and the alert is unchanged. The window
need not be full.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)

from jobs.alerting.alert import Verdict
from jobs.alerting.facts import (
    MAX_WINDOW,
    AlertNeeds,
    Sample,
    SampleHistory,
    Series,
    SubjectFacts,
    Threshold,
    Thresholds,
    series_of,
)
from jobs.formats import describe_span, format_count, format_instant
from jobs.model_base import Duration, FrozenModel

_MAX_CAUSE_LENGTH = 200


class AlertCondition(FrozenModel):
    """A condition, identified by its key: its first required field."""

    EXAMPLE: ClassVar[str]
    """A valid form, for messages."""
    COUNTS_SAMPLES: ClassVar[bool] = False
    """Whether `open_after` and `close_after` apply."""
    COUNTS_UNKNOWN: ClassVar[bool] = False
    """Whether runs that are unknown count. For all other conditions they take no place."""
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

    def select_cause(self, bad: Sequence[Sample]) -> Sample:
        """Return the bad sample whose cause the evidence names: the latest one."""
        return bad[-1]

    def find_needs(self, thresholds: Thresholds) -> AlertNeeds:
        samples = max(thresholds.open_after.window, thresholds.close_after or 0)
        return AlertNeeds(samples=samples, has_unknown=self.COUNTS_UNKNOWN)

    def judge(
        self, history: SampleHistory, facts: SubjectFacts, now: datetime, is_firing: bool, thresholds: Thresholds
    ) -> Verdict:
        threshold = thresholds.open_after
        held = MAX_WINDOW if threshold.is_consecutive else threshold.window
        samples = history.samples[-MAX_WINDOW:]
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
        cause = self.describe_cause(self.select_cause(bad))
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


_TEXT = re.compile(r"(\d{1,3}(?:\.\d{1,4})?) ?%")


def parse_share(value: object) -> float:
    """Parse `95%`, or a float from 0 to 1 in code. Raises ValueError."""
    if type(value) is float and 0 <= value <= 1:
        return value
    found = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        meant = f"write {value:g}%" if type(value) in (int, float) and 0 < value <= 100 else "write it like 95%"  # type: ignore[operator]
        raise ValueError(f"{value!r} is not a share: {meant}")
    share = float(found[1]) / 100
    if share > 1:
        raise ValueError(f"{value!r} is more than 100%")
    return share


def format_share(share: float) -> str:
    """Format with at most two decimals: `95%`, `99.95%`."""
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + "%"


def _read(value: Any) -> float:
    return parse_share(value)


def _write(share: float) -> str:
    return f"{share * 100:.4f}".rstrip("0").rstrip(".") + "%"


ShareField = Annotated[
    float,
    PlainValidator(_read),
    PlainSerializer(_write, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\s*\d{1,3}(\.\d{1,4})? ?%\s*$", "examples": ["95%"]},
                {"type": "number", "minimum": 0, "maximum": 1},
            ]
        }
    ),
]


def describe_expiry(expires_at: datetime, now: datetime) -> str:
    """Return for example `expires in 13 d 4 h, at 2026-03-01 12:00:00Z`."""
    left = (expires_at - now).total_seconds()
    if left > 0:
        return f"expires in {describe_span(left)}, at {format_instant(expires_at)}"
    return f"expired {describe_span(-left)} ago, at {format_instant(expires_at)}"


MAX_ALERT_WINDOW = 7 * 86400.0
"""Seconds. The runs of the window are read for each judgement."""
AlertWindow = Annotated[Duration, Field(ge=1, le=MAX_ALERT_WINDOW)]


class WindowCondition(AlertCondition):
    """Compares one number of the window with a limit. `close_at` differs from it for hysteresis."""

    DEFAULT_SEVERITY: ClassVar[str] = "down"

    window: AlertWindow = 3600.0
    minimum_runs: int = Field(default=10, ge=1, le=MAX_WINDOW)

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


def _read_target(value: object) -> float:
    text = value.strip().removesuffix("%").strip() if isinstance(value, str) else value
    try:
        if isinstance(text, bool) or not isinstance(text, (str, int, float)):
            raise ValueError
        target = float(text)
    except ValueError:
        raise ValueError(f"{str(value)[:40]!r} is not a percentage: write 99.9 for 99.9%") from None
    if math.isclose(target, 100) or target > 100:
        raise ValueError(f"{target:g} leaves no error budget: the largest target is 99.999")
    if not target >= 50:
        meant = f"write {target * 100:g}" if 0.5 <= target < 1 else "the smallest target is 50"
        raise ValueError(f"{target:g} percent is too small for a target: {meant}")
    if target > 99.999:
        raise ValueError(f"{target:.8g} is too large: the largest target is 99.999")
    return target


TargetField = Annotated[
    float,
    BeforeValidator(_read_target),
    Field(description="percent of runs or of time that must be good, such as 99.9"),
    WithJsonSchema(
        {
            "type": ["number", "string"],
            "minimum": 50,
            "maximum": 99.999,
            "pattern": r"^\s*[+-]?[0-9_.]+([eE][+-]?[0-9]+)?\s*%?\s*$",
            "examples": [99.9],
        }
    ),
]
