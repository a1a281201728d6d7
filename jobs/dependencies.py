"""What a job asks of the jobs that it depends on, and whether a run of one of them is that.

Part of the definition; judged by scheduler.dependencies.trigger for jobs without a schedule, by the dependency gate for others.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from jobs.formats.durations import format_duration
from jobs.model_base import Duration, FrozenModel
from jobs.runs import Outcome, Run

LONGEST_DEPENDENCY_WAIT = 3600.0
"""Seconds that a run may wait for what it depends on."""
LONGEST_DEPENDENCY_NAME = 100
_LONGEST_REASON = 400
"""Characters: a reason that is handed on through many jobs ends somewhere."""


class Dependency(FrozenModel):
    """Another job, and how its run must have ended.

    `failed` is every way of being down: failed, timed out, rejected. `finished`: one of these, or succeeded; not
    skipped, and not cancelled.
    """

    job: str = Field(min_length=1, max_length=LONGEST_DEPENDENCY_NAME, description="the name of another job")
    condition: Literal["succeeded", "failed", "finished"] = "succeeded"
    within: Annotated[Duration, Field(gt=0)] | None = None
    """Seconds: the run must not have ended longer ago. None: however long ago."""
    wait: Annotated[Duration, Field(le=LONGEST_DEPENDENCY_WAIT)] = 0.0
    """Seconds after its due instant for which a scheduled run waits for this, before it is left out."""

    def __str__(self) -> str:
        """`database`, `database (failed, within 5m)`."""
        more: list[str] = [] if self.condition == "succeeded" else [self.condition]
        if self.within is not None:
            more.append(f"within {format_duration(self.within)}")
        return f"{self.job} ({', '.join(more)})" if more else self.job

    def explain_unmet(self, run: Run | None, at: datetime, *, ignore_age: bool = False) -> str | None:
        """Why this run (None: the job has none) is not what is asked for, one sentence; None if it is.

        `at`: the instant from which `within` counts back, unless the run may be of `ignore_age`.
        """
        if run is None:
            return f"{self.job}, on which it depends, has not run yet"
        about = f"the run {run.id}, on which it depends,"
        if not self._takes(run.outcome):
            asked = f" (condition: {self.condition})" if run.outcome is not Outcome.SKIPPED else f": {run.message}"
            return _shortened(f"{about} {_ENDED[run.outcome]}{asked}")
        if ignore_age or self.within is None or (at - run.finished_at).total_seconds() <= self.within:
            return None
        age = format_duration(round((at - run.finished_at).total_seconds()))
        return f"{about} ended {age} ago (within: {format_duration(self.within)})"

    def _takes(self, outcome: Outcome) -> bool:
        if self.condition == "succeeded":
            return outcome is Outcome.SUCCEEDED
        return outcome.down or (self.condition == "finished" and outcome is Outcome.SUCCEEDED)


_ENDED = {
    Outcome.SUCCEEDED: "succeeded",
    Outcome.FAILED: "failed",
    Outcome.TIMED_OUT: "timed out",
    Outcome.REJECTED: "was rejected",
    Outcome.SKIPPED: "was skipped",
    Outcome.CANCELLED: "was cancelled",
}


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"


def _from_name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _of_name(value) if 1 <= len(value) <= LONGEST_DEPENDENCY_NAME and value.isascii() else {"job": value}


@lru_cache(maxsize=10_000)
def _of_name(name: str) -> Dependency:
    """Jobs that name the same job alone share one value."""
    return Dependency(job=name)


def _each_once(dependencies: tuple[Dependency, ...]) -> tuple[Dependency, ...]:
    names = [dependency.job for dependency in dependencies]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"names {twice!r} twice: one entry says all that is asked of a job")
    return dependencies


Dependencies = Annotated[
    tuple[Annotated[Dependency, BeforeValidator(_from_name, json_schema_input_type=str | Dependency)], ...],
    Field(max_length=50),
    AfterValidator(_each_once),
]
"""A job's name alone asks that its run succeeded."""


def format_dependencies(dependencies: Sequence[Dependency]) -> str:
    """`database, cache (failed, within 5m)`."""
    return ", ".join(map(str, dependencies))
