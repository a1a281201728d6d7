"""The policies of a job: deadlines, retries, circuit. Data only; jobs/running/ acts on them.

Two jobs that give a circuit's group different policies are found here, and refused by config.job_files.reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from jobs.formats.durations import format_duration, parse_duration
from jobs.model_base import Duration, FrozenModel, read_seconds

LONGEST_RUN_TIMEOUT = 480.0
"""Seconds. The Functions host ends its worker after host.json's functionTimeout (10 minutes): a run must be over."""


class Timeouts(FrozenModel):
    """Seconds for one attempt and for the whole run, waits between attempts included.

    An attempt never gets more than what is left of the run, so `run: 5s` alone shortens both.
    """

    attempt: Annotated[Duration, Field(gt=0)] = 10.0
    run: Annotated[Duration, Field(gt=0, le=LONGEST_RUN_TIMEOUT)] = 30.0

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


MOST_ATTEMPTS = 20
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)%")


def jitter_share(jitter: str) -> float | None:
    """`25%` as 0.25; None if it is not written as a share."""
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
            f"{value!r} is no jitter: write none, full, equal, a share of the wait such as 25% (at most 100%), "
            "or what is added at most, such as 500ms"
        ) from None
    return value


Jitter = Annotated[str, AfterValidator(_jitter), Field(examples=["none", "full", "equal", "25%", "500ms"])]
"""`none`, `full`, `equal`, a share (`25%`) or a duration."""


def _attempts(value: object) -> object:
    """Elsewhere 0 asks for no retry, or for as many as there may be: say what it would have to be here."""
    if isinstance(value, int) and not isinstance(value, bool) and value < 1:
        raise ValueError(f"{value} attempts are too few: the first one counts, so 1 is one without a retry")
    return value


class RetryPolicy(FrozenModel):
    """How often a failed attempt is repeated, and how long is waited before it.

    The wait before attempt n+1: constant `initial`; linear `initial + increment * (n-1)`; exponential
    `initial * multiplier^(n-1)`; or the n-th of `delays`, whose last one repeats. Never more than `max`.
    Jitter draws it evenly: `full` from zero to that, `equal` from its half, `25%` from a quarter less to a quarter
    more, `500ms` up to that later. Never less than `min`. A target's `Retry-After` lengthens it.
    """

    attempts: Annotated[int, BeforeValidator(_attempts), Field(ge=1, le=MOST_ATTEMPTS)] = 3
    """With `delays` and without this: one more than there are delays."""
    backoff: Literal["constant", "linear", "exponential"] = "exponential"
    initial: Duration = 0.5
    increment: Duration | None = None
    """Of `linear`; as long as `initial` if it is not said."""
    multiplier: float = Field(default=2.0, ge=1.0, le=10.0)
    """Of `exponential`."""
    delays: Annotated[tuple[Duration, ...] | None, Field(min_length=1, max_length=MOST_ATTEMPTS - 1)] = None
    """In place of `backoff` and what it reckons with."""
    min: Duration = 0.0
    max: Duration = 10.0
    """Without it also `initial`, `min` and each of `delays`, where they are longer."""
    jitter: Jitter = "full"
    on: tuple[RetryCondition, ...] = RETRIED_BY_DEFAULT
    non_idempotent: bool = False
    """Repeat POST and PATCH too: only for targets that recognise the `Idempotency-Key`."""

    @model_validator(mode="before")
    @classmethod
    def _an_attempt_for_each_delay(cls, value: Any) -> Any:
        if isinstance(value, dict) and "attempts" not in value and isinstance(delays := value.get("delays"), list):
            # Too many delays are refused as such, not as attempts that nobody wrote.
            return {**value, "attempts": min(len(delays) + 1, MOST_ATTEMPTS)}
        return value

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if "max" not in self.model_fields_set:
            # What a job asks for is not cut by what it leaves out.
            vars(self)["max"] = max(self.max, self.min, self.initial, *(self.delays or ()))
        if self.min > self.max:
            raise ValueError(
                f"min ({format_duration(self.min)}) is more than max ({format_duration(self.max)}): "
                "no wait lies between them"
            )
        return self


class CatchUp(FrozenModel):
    """What of the due instants that were missed (the scheduler was down, or stood still) is still run.

    `none`: nothing. `last`: the latest one. `all`: each of them, one after the other. Only those that are not older
    than `within`. What is left out is recorded as skipped, once.
    """

    policy: Literal["none", "last", "all"] = "none"
    within: Annotated[Duration, Field(gt=0, le=7 * 86400.0)] = 3600.0


LONGEST_CIRCUIT_WINDOW = 86400.0
SHORTEST_CIRCUIT_WINDOW = 0.1
"""Seconds."""
MOST_WINDOW_RUNS = 1000


def _window(value: Any, info: ValidationInfo) -> int | float:
    """Runs as a whole number, or seconds as a float."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MOST_WINDOW_RUNS:
            raise ValueError(f"{value} runs: from 1 to {MOST_WINDOW_RUNS} can be looked back on")
        return value
    try:
        seconds = read_seconds(value, info)
    except ValueError:
        raise ValueError(
            "the window is a number of runs, such as 20, or the time in which they ended, such as 5m"
        ) from None
    if not SHORTEST_CIRCUIT_WINDOW <= seconds <= LONGEST_CIRCUIT_WINDOW:
        raise ValueError(f"{format_duration(seconds)}: from 100ms to 1d can be looked back on")
    return seconds


def _written_window(window: int | float) -> int | str:
    return window if isinstance(window, int) else format_duration(window)


WindowLength = Annotated[
    int | float,
    PlainValidator(_window),
    PlainSerializer(_written_window, return_type=int | str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MOST_WINDOW_RUNS},
                {"type": "string", "examples": ["5m"]},
            ]
        }
    ),
]
"""An int counts runs, a float seconds."""


class CircuitPolicy(FrozenModel):
    """When a target is left alone for a while.

    Opens after `consecutive_failures` in a row; or when among the runs of the `window` (the last so many, or those of
    the last so long), if they are `minimum_calls` at least, the share of failures reaches `failure_rate`, or that of
    runs whose last attempt took longer than `slow_call` reaches `slow_rate`. After `open_for` it lets `probes` runs
    through. With `consecutive_failures`, one that fails opens it again at once; otherwise, and in any case for slow
    ones, the rates decide once all are back. Jobs that name one `group` share a circuit.
    """

    consecutive_failures: int | None = Field(default=None, ge=1, le=1000)
    failure_rate: float | None = Field(default=None, gt=0.0, le=1.0)
    slow_rate: float | None = Field(default=None, gt=0.0, le=1.0)
    slow_call: Annotated[Duration, Field(gt=0)] | None = None
    window: WindowLength = 20
    minimum_calls: int = Field(default=10, ge=1, le=MOST_WINDOW_RUNS)
    """Without it a shorter window of runs has to be full."""
    open_for: Annotated[Duration, Field(gt=0, le=LONGEST_CIRCUIT_WINDOW)] = 60.0
    probes: int = Field(default=1, ge=1, le=100)
    group: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="letters, digits, dot, - and _, at most 100, the first a letter or a digit",
    )

    @property
    def uses_rates(self) -> bool:
        """Whether it looks at a window at all."""
        return self.failure_rate is not None or self.slow_rate is not None

    @model_validator(mode="after")
    def _needs_a_trigger(self) -> Self:
        if self.consecutive_failures is None and not self.uses_rates:
            raise ValueError("say when it opens: consecutive_failures, failure_rate, slow_rate, or several of them")
        if (self.slow_rate is None) != (self.slow_call is None):
            missing = "slow_call, from when on a run is slow" if self.slow_call is None else "slow_rate"
            raise ValueError(f"slow_rate and slow_call need each other: say {missing} too")
        return self

    @model_validator(mode="after")
    def _a_window_that_can_hold_the_minimum(self) -> Self:
        if isinstance(self.window, float):
            return self
        if "minimum_calls" not in self.model_fields_set:
            vars(self)["minimum_calls"] = min(self.minimum_calls, self.window)
        elif self.uses_rates and self.minimum_calls > self.window:
            raise ValueError(f"minimum_calls ({self.minimum_calls}) must not be more than window ({self.window})")
        return self


@dataclass(frozen=True, slots=True)
class CircuitConflict:
    """`job` gives the circuit of its group another policy than `first` does; `field` is the first that differs."""

    job: str
    first: str
    group: str
    field: str


def find_circuit_conflicts(circuits: Iterable[tuple[str, CircuitPolicy | None]]) -> list[CircuitConflict]:
    """Of jobs with their circuits: each one that disagrees with the first job of its group."""
    first: dict[str, tuple[str, CircuitPolicy]] = {}
    found = []
    for job, policy in circuits:
        if policy is None or policy.group is None:
            continue
        name, agreed = first.setdefault(policy.group, (job, policy))
        if policy != agreed:
            fields = type(policy).model_fields
            differs = next(field for field in fields if getattr(policy, field) != getattr(agreed, field))
            found.append(CircuitConflict(job, name, policy.group, differs))
    return found
