"""How a job is run and reported: timeouts, retries, catch-up after a pause, circuit breaker, telemetry. Data only.

Two jobs that set different policies for the circuit of one group are found here and rejected by config.job_files.
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

from jobs.formats import DURATION_PATTERN, format_duration, parse_duration
from jobs.model_base import Duration, FrozenModel, read_seconds


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


MAX_CIRCUIT_WINDOW = 86400.0

SHORTEST_CIRCUIT_WINDOW = 0.1
"""Seconds."""
MAX_WINDOW_RUNS = 1000


def _window(value: Any, info: ValidationInfo) -> int | float:
    """Validate a number of runs (int) or of seconds (float)."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MAX_WINDOW_RUNS:
            raise ValueError(f"{value} runs: the window must be 1 to {MAX_WINDOW_RUNS} runs")
        return value
    try:
        seconds = read_seconds(value, info)
    except ValueError:
        raise ValueError("the window must be a number of runs, such as 20, or a duration, such as 5m") from None
    if not SHORTEST_CIRCUIT_WINDOW <= seconds <= MAX_CIRCUIT_WINDOW:
        raise ValueError(f"{format_duration(seconds)}: the window must be 100ms to 1d")
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
                {"type": "integer", "minimum": 1, "maximum": MAX_WINDOW_RUNS},
                {"type": "string", "pattern": DURATION_PATTERN, "examples": ["5m"]},
            ]
        }
    ),
]
"""A window's length: an int counts runs, a float counts seconds."""


WINDOW_RULE_KEYS = (
    "failure_rate",
    "slow_rate",
)
"""The keys of the rules that need the window. A rule itself is in jobs.running.circuit_state_machine."""


class CircuitPolicy(FrozenModel):
    """When the circuit breaker of a target opens, and how it closes.

    It opens after `consecutive_failures`; or when, among the runs of the `window` (the last n runs, or the runs of the
    last n seconds) and given at least `minimum_calls`, the share of failures reaches `failure_rate` or the share of
    runs whose last attempt took longer than `slow_call` reaches `slow_rate`. After `open_for` it admits `probes` runs.
    With `consecutive_failures` one failed probe opens it again at once; otherwise, and always for slow probes, the
    rates decide after all probes have ended. Jobs with the same `group` share a circuit.
    """

    consecutive_failures: int | None = Field(default=None, ge=1, le=1000)
    failure_rate: float | None = Field(default=None, gt=0.0, le=1.0)
    slow_rate: float | None = Field(default=None, gt=0.0, le=1.0)
    slow_call: Annotated[Duration, Field(gt=0)] | None = None
    window: WindowLength = 20
    minimum_calls: int = Field(default=10, ge=1, le=MAX_WINDOW_RUNS)
    """The default is at most the window, if that counts runs."""
    open_for: Annotated[Duration, Field(gt=0, le=MAX_CIRCUIT_WINDOW)] = 60.0
    probes: int = Field(default=1, ge=1, le=100)
    group: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="letters, digits, dot, - and _, at most 100, the first a letter or a digit",
    )

    @property
    def uses_window(self) -> bool:
        """Whether one of the rules needs the window."""
        return any(getattr(self, key) is not None for key in WINDOW_RULE_KEYS)

    @model_validator(mode="after")
    def _needs_a_trigger(self) -> Self:
        if self.consecutive_failures is None and not self.uses_window:
            keys = ("consecutive_failures", *WINDOW_RULE_KEYS)
            raise ValueError(f"no condition to open: set {', '.join(keys[:-1])} or {keys[-1]}")
        if (self.slow_rate is None) != (self.slow_call is None):
            missing = "slow_call, the duration from which a run is slow" if self.slow_call is None else "slow_rate"
            raise ValueError(f"slow_rate and slow_call require each other: add {missing}")
        return self

    @model_validator(mode="after")
    def _a_window_that_can_hold_the_minimum(self) -> Self:
        if isinstance(self.window, float):
            return self
        if "minimum_calls" not in self.model_fields_set:
            vars(self)["minimum_calls"] = min(self.minimum_calls, self.window)
        elif self.uses_window and self.minimum_calls > self.window:
            raise ValueError(f"minimum_calls ({self.minimum_calls}) must not be more than window ({self.window})")
        return self


@dataclass(frozen=True, slots=True)
class CircuitConflict:
    """`job` sets another policy for the circuit of its group than the job `first`; `field`: the first difference."""

    job: str
    first: str
    group: str
    field: str


def find_circuit_conflicts(circuits: Iterable[tuple[str, CircuitPolicy | None]]) -> list[CircuitConflict]:
    """Return each job whose policy differs from that of the first job of its group."""
    first: dict[str, tuple[str, CircuitPolicy]] = {}
    conflicts = []
    for job, policy in circuits:
        if policy is None or policy.group is None:
            continue
        name, agreed = first.setdefault(policy.group, (job, policy))
        if policy != agreed:
            fields = type(policy).model_fields
            differs = next(field for field in fields if getattr(policy, field) != getattr(agreed, field))
            conflicts.append(CircuitConflict(job, name, policy.group, differs))
    return conflicts


RowSelection = Literal["all", "failures", "none"]
"""The runs with separate rows in a signal: all; failures, degraded runs and a sample of the others; none."""

MetricDetail = Literal["all", "job", "total", "none"]
"""The metrics with a dimension for the job: all; only runs and duration; none of them. `none`: no metrics of runs."""


class Reporting(FrozenModel):
    """How much is reported, by signal."""

    events: RowSelection = "failures"
    availability: RowSelection = "failures"
    spans: RowSelection = "failures"
    metrics: MetricDetail = "job"


class TelemetryPolicy(FrozenModel):
    """A job's override of the settings; None: no override."""

    events: RowSelection | None = None
    availability: RowSelection | None = None
    spans: RowSelection | None = None
    metrics: MetricDetail | None = None
    trace_context: bool = Field(
        default=True,
        description="whether requests to the target carry traceparent, unless targets.traceparent is false",
    )


def resolve_reporting(policy: TelemetryPolicy | None, usual: Reporting) -> Reporting:
    """Return the effective levels of a job: its own, otherwise those of the settings."""
    said = {} if policy is None else policy.model_dump(exclude_none=True, exclude={"trace_context"})
    return usual.model_copy(update=said) if said else usual


NO_TRACE_CONTEXT = TelemetryPolicy(trace_context=False)
"""For requests that belong to no run."""

REPORT_EVERYTHING = Reporting(events="all", availability="all", spans="all", metrics="all")


_PREFIX = "tag_"
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_]")


def label_of_tag(tag: str) -> str:
    """Return the label of a tag: `tag_` and its name, with `_` for what a label cannot contain: cost-center is
    tag_cost_center."""
    return _PREFIX + _NOT_IN_LABELS.sub("_", tag)


def find_label_collision(tags: Iterable[str]) -> tuple[str, str] | None:
    """Return two tags that have the same label; None if each has its own."""
    found: dict[str, str] = {}
    for tag in tags:
        other = found.setdefault(label_of_tag(tag), tag)
        if other != tag:
            return other, tag
    return None
