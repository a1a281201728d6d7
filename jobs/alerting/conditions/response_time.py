"""The condition `response_time_above`: a percentile of the response times in a window is too long."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from jobs.alerting.conditions.base import WindowCondition
from jobs.alerting.facts import Sample
from jobs.formats import describe_milliseconds, format_duration
from jobs.model_base import Duration


class ResponseTimeCondition(WindowCondition):
    """The percentile is the nearest rank: p95 of 20 runs is the 19th.

    The time of a run is that of its last attempt. A run without a connection does not count, as it would
    be a quick one.
    """

    EXAMPLE: ClassVar = "{response_time_above: 800ms, percentile: 95, window: 30m}"
    DEFAULT_SEVERITY: ClassVar = "degraded"

    response_time_above: Annotated[Duration, Field(gt=0)]
    percentile: float = Field(default=95.0, gt=0, le=100)
    close_at: Annotated[Duration, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _check_hysteresis(self) -> Self:
        if self.close_at is not None and self.close_at > self.response_time_above:
            raise ValueError(
                f"close_at ({format_duration(self.close_at)}) is more than response_time_above "
                f"({format_duration(self.response_time_above)}): the alert would close while its condition is met"
            )
        return self

    def is_bad(self, sample: Sample) -> bool:
        return _has_response(sample) and (sample.response_ms or 0.0) > self.response_time_above * 1000

    def select_measured(self, samples: Sequence[Sample]) -> Sequence[Sample]:
        return [sample for sample in samples if _has_response(sample)]

    def measure(self, samples: Sequence[Sample]) -> float:
        """Return milliseconds."""
        times = sorted(sample.response_ms or 0.0 for sample in samples)
        return times[max(math.ceil(self.percentile / 100 * len(times)) - 1, 0)]

    def is_beyond(self, value: float, is_firing: bool) -> bool:
        return value > self._limit_ms(is_firing)

    def describe(self, value: float, samples: Sequence[Sample], is_firing: bool) -> str:
        limit = describe_milliseconds(self._limit_ms(is_firing))
        than = "more than" if self.is_beyond(value, is_firing) else "at most"
        what = f"{self.percentile:g} % of {len(samples)} responses took up to {describe_milliseconds(value)}"
        return f"{what}, {than} {limit},"

    def _limit_ms(self, is_firing: bool) -> float:
        seconds = self.close_at if is_firing and self.close_at is not None else self.response_time_above
        return seconds * 1000


def _has_response(sample: Sample) -> bool:
    return sample.response_ms is not None and not (sample.error is not None and sample.error.is_connection)
