"""How a job is run: timeouts of an attempt and of a run, retries, and what is caught up after a pause. Data only."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from jobs.formats import format_duration, parse_duration
from jobs.model_base import Duration, FrozenModel


def _condition(value: object) -> object:
    """Accept a status that is written as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_CONDITION_PATTERN = r"^(connection|timeout|expectation|[1-5]xx|[1-5]\d\d)$"
_RetryInput = Annotated[int, Field(ge=100, le=599)] | Annotated[str, Field(pattern=_CONDITION_PATTERN)]
RetryCondition = Annotated[
    str,
    BeforeValidator(_condition, json_schema_input_type=_RetryInput),
    Field(
        pattern=_CONDITION_PATTERN,
        description="connection, timeout, expectation, a status such as 503, or a class of them such as 5xx",
    ),
]
"""`connection`, `timeout`, `expectation`, a status (`503`) or a class of them (`5xx`)."""
RETRIED_BY_DEFAULT: tuple[str, ...] = ("connection", "timeout", "408", "425", "429", "5xx")
MAX_ATTEMPTS = 20
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)%")


def jitter_share(jitter: str) -> float | None:
    """Parse `25%` to 0.25; None for any other text."""
    match = _SHARE.fullmatch(jitter)
    return float(match[1]) / 100 if match else None


def _jitter(value: str) -> str:
    if value in ("none", "full", "equal"):
        return value
    share = jitter_share(value)
    if share is not None and share <= 1:
        return value
    try:
        parse_duration(value)
    except ValueError:
        raise ValueError(
            f"{value!r} is not a jitter: write none, full, equal, a share of the wait such as 25% (at most 100%), "
            "or a maximum addition such as 500ms"
        ) from None
    return value


Jitter = Annotated[str, AfterValidator(_jitter), Field(examples=["none", "full", "equal", "25%", "500ms"])]
"""`none`, `full`, `equal`, a share (`25%`) or a duration."""


def _attempts(value: object) -> object:
    """Explain 0, which in other programs means no retry or unlimited retries."""
    if isinstance(value, int) and not isinstance(value, bool) and value < 1:
        raise ValueError(f"{value} attempts are too few: the first attempt counts, so 1 means no retry")
    return value


class RetryPolicy(FrozenModel):
    """How often a failed attempt is repeated, and the wait before each repetition.

    The wait before attempt n+1: constant `initial`; linear `initial + increment * (n-1)`; exponential
    `initial * multiplier^(n-1)`; or the n-th of `delays`, of which the last one repeats. At most `max`.
    Jitter is uniform: `full` between zero and the wait, `equal` between half and the whole, `25%` up to a quarter more
    or less, `500ms` up to that much more. At least `min`. A target's `Retry-After` extends the wait.
    """

    attempts: Annotated[int, BeforeValidator(_attempts), Field(ge=1, le=MAX_ATTEMPTS)] = 3
    """The default with `delays` is one more than the number of delays."""
    backoff: Literal["constant", "linear", "exponential"] = "exponential"
    initial: Duration = 0.5
    increment: Duration | None = None
    """For `linear`; the default is `initial`."""
    multiplier: float = Field(default=2.0, ge=1.0, le=10.0)
    """For `exponential`."""
    delays: Annotated[tuple[Duration, ...] | None, Field(min_length=1, max_length=MAX_ATTEMPTS - 1)] = None
    """Replaces `backoff` and its parameters."""
    min: Duration = 0.0
    max: Duration = 10.0
    """The default is raised to `min`, `initial` and the longest of `delays`."""
    jitter: Jitter = "full"
    on: tuple[RetryCondition, ...] = RETRIED_BY_DEFAULT
    non_idempotent: bool = False
    """Repeat POST and PATCH too: only for targets that deduplicate by `Idempotency-Key`."""

    @model_validator(mode="before")
    @classmethod
    def _an_attempt_for_each_delay(cls, value: Any) -> Any:
        if isinstance(value, dict) and "attempts" not in value and isinstance(delays := value.get("delays"), list):
            # Too many delays are rejected as delays, not as attempts, which the file does not contain.
            return {**value, "attempts": min(len(delays) + 1, MAX_ATTEMPTS)}
        return value

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if "max" not in self.model_fields_set:
            # A default must not shorten a wait that the job sets.
            vars(self)["max"] = max(self.max, self.min, self.initial, *(self.delays or ()))
        if self.min > self.max:
            raise ValueError(
                f"min ({format_duration(self.min)}) is more than max ({format_duration(self.max)}): "
                "no wait can satisfy both"
            )
        return self


MAX_RUN_TIMEOUT = 480.0
"""Seconds. Less than functionTimeout of host.json (10 minutes), at which the Functions host ends its worker."""


class Timeouts(FrozenModel):
    """Seconds for one attempt and for the whole run, including the waits between attempts.

    An attempt gets at most the rest of the run, so `run: 5s` alone shortens both.
    """

    attempt: Annotated[Duration, Field(gt=0)] = 10.0
    run: Annotated[Duration, Field(gt=0, le=MAX_RUN_TIMEOUT)] = 30.0

    @model_validator(mode="after")
    def _attempt_within_run(self) -> Self:
        if "attempt" in self.model_fields_set and self.attempt > self.run:
            raise ValueError(
                f"attempt ({format_duration(self.attempt)}) is longer than run ({format_duration(self.run)}): "
                "increase run, which includes all attempts and the waits between them"
            )
        return self


class CatchUp(FrozenModel):
    """Which missed due instants (the scheduler was stopped or stalled) are still run.

    `none`; `last`: the latest one; `all`: each of them, in order. Only instants within the last `within` seconds. The
    others are recorded as skipped, in one entry.
    """

    policy: Literal["none", "last", "all"] = "none"
    within: Annotated[Duration, Field(gt=0, le=7 * 86400.0)] = 3600.0
