"""The policies of a job: deadlines, retries, circuit. Data only; jobs/running/ acts on them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from jobs.durations import format_duration
from jobs.model import Duration, Frozen

LONGEST_RUN = 480.0
"""Seconds. The Functions host ends its worker after host.json's functionTimeout (10 minutes): a run must be over."""


class Timeouts(Frozen):
    """Seconds for one attempt and for the whole run, waits between attempts included.

    An attempt never gets more than what is left of the run, so `run: 5s` alone shortens both.
    """

    attempt: Annotated[Duration, Field(gt=0)] = 10.0
    run: Annotated[Duration, Field(gt=0, le=LONGEST_RUN)] = 30.0

    @model_validator(mode="after")
    def _attempt_within_run(self) -> Self:
        if "attempt" in self.model_fields_set and self.attempt > self.run:
            raise ValueError(
                f"attempt ({format_duration(self.attempt)}) is longer than run ({format_duration(self.run)}): "
                "raise run, which covers all attempts and the waits between them"
            )
        return self


def _condition(value: object) -> object:
    """A status may be written as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


RetryCondition = Annotated[
    str,
    BeforeValidator(_condition),
    Field(
        pattern=r"^(connection|timeout|expectation|[1-5]xx|[1-5]\d\d)$",
        description="connection, timeout, expectation, a status such as 503, or a class of them such as 5xx",
    ),
]
"""`connection`, `timeout`, `expectation`, a status (`503`) or a class of them (`5xx`)."""

RETRIED_BY_DEFAULT: tuple[str, ...] = ("connection", "timeout", "408", "425", "429", "5xx")


class RetryPolicy(Frozen):
    """How often a failed attempt is repeated, and how long is waited before it.

    The wait before attempt n+1: constant `initial`; linear `initial * n`; exponential `initial * multiplier^(n-1)`;
    never more than `max`. Jitter `full` draws it evenly from zero to that. A target's `Retry-After` lengthens it.
    """

    attempts: int = Field(default=3, ge=1, le=20)
    backoff: Literal["constant", "linear", "exponential"] = "exponential"
    initial: Duration = 0.5
    max: Duration = 10.0
    multiplier: float = Field(default=2.0, ge=1.0, le=10.0)
    jitter: Literal["none", "full"] = "full"
    on: tuple[RetryCondition, ...] = RETRIED_BY_DEFAULT
    non_idempotent: bool = False
    """Repeat POST and PATCH too: only for targets that recognise the `Idempotency-Key`."""


class CatchUp(Frozen):
    """What of the due instants that were missed (the scheduler was down, or stood still) is still run.

    `none`: nothing. `last`: the latest one. `all`: each of them, one after the other. Only those that are not older
    than `within`. What is left out is recorded as skipped, once.
    """

    policy: Literal["none", "last", "all"] = "none"
    within: Annotated[Duration, Field(gt=0, le=7 * 86400.0)] = 3600.0


class CircuitPolicy(Frozen):
    """When a target is left alone for a while.

    Opens after `consecutive_failures` in a row, or when among the last `window` runs (at least `minimum_calls` of
    them) the share of failures reaches `failure_rate`. After `open_for` it lets `probes` runs through: all succeed,
    it closes; one fails, it opens again.
    """

    consecutive_failures: int | None = Field(default=None, ge=1, le=1000)
    failure_rate: float | None = Field(default=None, gt=0.0, le=1.0)
    window: int = Field(default=20, ge=1, le=1000)
    minimum_calls: int = Field(default=10, ge=1, le=1000)
    open_for: Annotated[Duration, Field(gt=0)] = 60.0
    probes: int = Field(default=1, ge=1, le=100)

    @model_validator(mode="after")
    def _needs_a_trigger(self) -> Self:
        if self.consecutive_failures is None and self.failure_rate is None:
            raise ValueError("say when it opens: consecutive_failures, failure_rate, or both")
        if self.failure_rate is not None and self.minimum_calls > self.window:
            raise ValueError(f"minimum_calls ({self.minimum_calls}) must not be more than window ({self.window})")
        return self
