"""The circuit breaker policy of a job. Applied by jobs.running.circuit_breaker.

Two jobs that set different policies for the circuit of one group are found here and rejected by config.job_files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema, model_validator

from jobs.formats import DURATION_PATTERN, format_duration
from jobs.model_base import Duration, FrozenModel, read_seconds

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
"""The keys of the rules that need the window. A rule itself is in jobs.running.circuit_breaker.state_machine."""


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
