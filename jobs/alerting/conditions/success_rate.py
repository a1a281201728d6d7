"""The condition `success_rate_below`: too few of the runs in a window succeeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import model_validator

from jobs.alerting.conditions.base import ShareField, WindowCondition, describe_failure, format_share
from jobs.alerting.facts import Sample


class SuccessRateCondition(WindowCondition):
    """A degraded run is a success. `close_at`: the rate at which the alert closes, at least that which opens it."""

    EXAMPLE: ClassVar = "{success_rate_below: 95%, window: 1h}"

    success_rate_below: ShareField
    close_at: ShareField | None = None

    @model_validator(mode="after")
    def _check_hysteresis(self) -> Self:
        if self.close_at is not None and self.close_at < self.success_rate_below:
            raise ValueError(
                f"close_at ({format_share(self.close_at)}) is less than success_rate_below "
                f"({format_share(self.success_rate_below)}): the alert would close while its condition is met"
            )
        return self

    def is_bad(self, sample: Sample) -> bool:
        return sample.is_failed

    def measure(self, samples: Sequence[Sample]) -> float:
        return sum(not sample.is_failed for sample in samples) / len(samples)

    def is_beyond(self, value: float, is_firing: bool) -> bool:
        return value < self._limit(is_firing)

    def describe(self, value: float, samples: Sequence[Sample], is_firing: bool) -> str:
        succeeded = sum(not sample.is_failed for sample in samples)
        than = "less than" if self.is_beyond(value, is_firing) else "at least"
        latest = next((describe_failure(sample) for sample in reversed(samples) if sample.is_failed), "")
        more = f" (latest failure: {latest})" if latest else ""
        limit = format_share(self._limit(is_firing))
        return f"{succeeded} of {len(samples)} runs succeeded, {format_share(value)}, {than} {limit}{more},"

    def _limit(self, is_firing: bool) -> float:
        return self.close_at if is_firing and self.close_at is not None else self.success_rate_below
