"""The condition `error_share_above`: too many of the runs in a window failed with errors of given classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from jobs.alerting.conditions.base import ShareField, WindowCondition, describe_failure, format_share
from jobs.alerting.facts import Sample
from jobs.problems import describe_wrong_choice
from jobs.runs.outcomes import ErrorClass

_FAMILIES = ("connection", "timeout")
_CHOICES: tuple[str, ...] = (*_FAMILIES, *ErrorClass)


def _check_error(value: str) -> str:
    if value not in _CHOICES:
        message, hint = describe_wrong_choice(value, _CHOICES)
        raise ValueError(f"{message}: {hint}" if hint else message)
    return value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


AlertedError = Annotated[str, AfterValidator(_check_error), Field(json_schema_extra={"enum": list(_CHOICES)})]
"""`connection`, `timeout`, or a class of errors."""


class ErrorShareCondition(WindowCondition):
    """Without `errors` all failed runs count. `close_at`: the share at which the alert closes."""

    EXAMPLE: ClassVar = "{error_share_above: 10%, errors: [timeout], window: 30m}"

    error_share_above: ShareField
    errors: Annotated[
        tuple[AlertedError, ...],
        BeforeValidator(_as_list, json_schema_input_type=AlertedError | tuple[AlertedError, ...]),
        Field(max_length=len(_CHOICES)),
    ] = ()
    close_at: ShareField | None = None

    @model_validator(mode="after")
    def _check_hysteresis(self) -> Self:
        if self.close_at is not None and self.close_at > self.error_share_above:
            raise ValueError(
                f"close_at ({format_share(self.close_at)}) is more than error_share_above "
                f"({format_share(self.error_share_above)}): the alert would close while its condition is met"
            )
        return self

    def is_bad(self, sample: Sample) -> bool:
        if not sample.is_failed:
            return False
        error = sample.error
        if not self.errors or error is None:
            return not self.errors
        return (
            error.value in self.errors
            or ("timeout" in self.errors and error.is_timeout)
            or ("connection" in self.errors and error.is_connection)
        )

    def measure(self, samples: Sequence[Sample]) -> float:
        return sum(map(self.is_bad, samples)) / len(samples)

    def is_beyond(self, value: float, is_firing: bool) -> bool:
        return value > self._limit(is_firing)

    def describe(self, value: float, samples: Sequence[Sample], is_firing: bool) -> str:
        bad = [sample for sample in samples if self.is_bad(sample)]
        of = f" with {' or '.join(error.replace('_', ' ') for error in self.errors)}" if self.errors else ""
        than = "more than" if self.is_beyond(value, is_firing) else "at most"
        latest = describe_failure(bad[-1]) if bad else ""
        more = f" (latest: {latest})" if latest else ""
        limit = format_share(self._limit(is_firing))
        return f"{len(bad)} of {len(samples)} runs failed{of}, {format_share(value)}, {than} {limit}{more},"

    def _limit(self, is_firing: bool) -> float:
        return self.close_at if is_firing and self.close_at is not None else self.error_share_above
