"""Dependencies of a job: the condition that a run of another job must meet, and the check of it.

Part of the definition. Evaluated by scheduler.dependencies.trigger for jobs without a schedule, and by the dependency
gate for scheduled ones.
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
"""Maximum seconds that a run waits for its dependencies."""
LONGEST_DEPENDENCY_NAME = 100
_LONGEST_REASON = 400
"""Characters. Bounds a reason that is passed on through a chain of jobs."""


class Dependency(FrozenModel):
    """Another job, and the outcome that its run must have.

    `failed` includes timed out and rejected. `finished` is any of these or succeeded, but not skipped or cancelled.
    """

    job: str = Field(min_length=1, max_length=LONGEST_DEPENDENCY_NAME, description="the name of another job")
    condition: Literal["succeeded", "failed", "finished"] = "succeeded"
    within: Annotated[Duration, Field(gt=0)] | None = None
    """Maximum seconds since that run ended. None: no limit."""
    wait: Annotated[Duration, Field(le=LONGEST_DEPENDENCY_WAIT)] = 0.0
    """Seconds after its due instant that a scheduled run waits for this dependency before it is skipped."""

    def __str__(self) -> str:
        """`database`, `database (failed, within 5m)`."""
        more: list[str] = [] if self.condition == "succeeded" else [self.condition]
        if self.within is not None:
            more.append(f"within {format_duration(self.within)}")
        return f"{self.job} ({', '.join(more)})" if more else self.job

    def explain_unmet(self, run: Run | None, at: datetime, *, ignore_age: bool = False) -> str | None:
        """Return why `run` (None: the job has not run) does not meet the condition, as a sentence; None if it does.

        `within` counts back from `at`, unless `ignore_age` is true.
        """
        if run is None:
            return f"dependency {self.job} has not run yet"
        about = f"dependency run {run.id}"
        if not self._takes(run.outcome):
            condition = f" (condition: {self.condition})" if run.outcome is not Outcome.SKIPPED else f": {run.message}"
            return _shortened(f"{about} {_ENDED[run.outcome]}{condition}")
        if ignore_age or self.within is None or (at - run.finished_at).total_seconds() <= self.within:
            return None
        age = format_duration(round((at - run.finished_at).total_seconds()))
        return f"{about} ended {age} ago (within: {format_duration(self.within)})"

    def is_named_in(self, reason: str) -> bool:
        """Return whether a reason of `explain_unmet` is about this dependency."""
        return reason.startswith((f"dependency {self.job} has not run", f"dependency run {self.job}@"))

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


def describe_wait(depends_on: Sequence[Dependency], reason: str) -> str:
    """Return for which job a job waits, `waiting for database`, from the reason for which its run was skipped.

    The reason of an older definition, or of an older version of the program, names none of them: then all are named.
    """
    names = [one.job for one in depends_on if one.is_named_in(reason)] or [one.job for one in depends_on]
    return f"waiting for {', '.join(names) or 'another job'}"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"


def _from_name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _of_name(value) if 1 <= len(value) <= LONGEST_DEPENDENCY_NAME and value.isascii() else {"job": value}


# perf: memory of 10,000 jobs with ten dependencies each, 47 of 48 MiB of the dependencies
@lru_cache(maxsize=10_000)
def _of_name(name: str) -> Dependency:
    """Return one shared value for all jobs that name the same job without options."""
    return Dependency(job=name)


def _each_once(dependencies: tuple[Dependency, ...]) -> tuple[Dependency, ...]:
    names = [dependency.job for dependency in dependencies]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is listed twice: combine its conditions in one entry")
    return dependencies


Dependencies = Annotated[
    tuple[Annotated[Dependency, BeforeValidator(_from_name, json_schema_input_type=str | Dependency)], ...],
    Field(max_length=50),
    AfterValidator(_each_once),
]
"""A job's name alone means that its run must have succeeded."""


def format_dependencies(dependencies: Sequence[Dependency]) -> str:
    """`database, cache (failed, within 5m)`."""
    return ", ".join(map(str, dependencies))
