"""The dependencies between jobs: the condition that a run of another job must meet, and what a run starts. Pure.

Evaluated by scheduler.dependencies for jobs without a schedule, and by the dependency gate for scheduled ones.
A job *starts* another one that depends on it and has no schedule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from jobs.formats import format_duration
from jobs.model_base import Duration, FrozenModel
from jobs.problems.findings import did_you_mean, suggest_sorted_name
from jobs.runs import Outcome, Run

if TYPE_CHECKING:
    from jobs.definition import JobDefinition

MAX_DEPENDENCY_WAIT = 3600.0
"""Maximum seconds that a run waits for its dependencies."""
MAX_DEPENDENCY_NAME = 100
_MAX_REASON = 400
"""Characters. Bounds a reason that is passed on through a chain of jobs."""


class Dependency(FrozenModel):
    """Another job, and the outcome that its run must have.

    `failed` includes timed out and rejected. `finished` is any of these or succeeded, but not skipped or cancelled.
    """

    job: str = Field(min_length=1, max_length=MAX_DEPENDENCY_NAME, description="the name of another job")
    condition: Literal["succeeded", "failed", "finished"] = "succeeded"
    within: Annotated[Duration, Field(gt=0)] | None = None
    """Maximum seconds since that run ended. None: no limit."""
    wait: Annotated[Duration, Field(le=MAX_DEPENDENCY_WAIT)] = 0.0
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
    return text if len(text) <= _MAX_REASON else text[: _MAX_REASON - 1] + "…"


def _from_name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _of_name(value) if 1 <= len(value) <= MAX_DEPENDENCY_NAME and value.isascii() else {"job": value}


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


def describe_start(schedule: str, dependencies: Sequence[Dependency]) -> str:
    """Return what starts a run: `every 10s`, `every 10s if database`, `after database`; empty: on demand only."""
    others = format_dependencies(dependencies)
    if not schedule:
        return f"after {others}" if others else ""
    return f"{schedule} if {others}" if others else schedule


@dataclass(frozen=True, slots=True)
class DependencyProblem:
    """A problem in entry `index` of the job's `depends_on`. `circle`: the jobs of a cycle, in order."""

    job: str
    index: int
    message: str
    hint: str = ""
    circle: tuple[str, ...] = ()


class DependencyGraph:
    """The jobs and their dependencies. Names without a job are ignored."""

    def __init__(self, jobs: Iterable[JobDefinition]) -> None:
        self._all = {job.name: job for job in jobs}
        self._dependents: dict[str, list[str]] = {}
        for job in self._all.values():
            for dependency in job.depends_on:
                self._dependents.setdefault(dependency.job, []).append(job.name)
        self._members: dict[str, frozenset[str]] = {}
        self._roots: dict[str, tuple[str, ...]] = {}

    def dependents(self, job: str) -> tuple[str, ...]:
        """Return the jobs that directly depend on this one."""
        return tuple(self._dependents.get(job, ()))

    def is_started_by_others(self, job: str) -> bool:
        """Whether its runs are started by runs of other jobs."""
        definition = self._all.get(job)
        return definition is not None and definition.schedule is None and bool(definition.depends_on)

    def started_jobs(self, job: str) -> tuple[str, ...]:
        """Return the jobs without a schedule that a run of this one may start, in the order of the definitions."""
        return self._started.get(job, ())

    def all_started_jobs(self, root: str) -> frozenset[str]:
        """Return all jobs that a run of `root` may start, directly or through others."""
        found = self._members.get(root)
        if found is None:
            found = self._members[root] = frozenset(self._reached(root, self._started))
        return found

    def all_starting_jobs(self, job: str) -> frozenset[str]:
        """Return all jobs whose runs may start this one, directly or through others."""
        return frozenset(self._reached(job, self._above))

    def root_jobs(self, job: str) -> tuple[str, ...]:
        """Return those of them that no other job starts, sorted by name."""
        roots = self._roots.get(job)
        if roots is None:
            roots = self._roots[job] = tuple(
                sorted(name for name in self.all_starting_jobs(job) if name not in self._above)
            )
        return roots

    @cached_property
    def _started(self) -> Mapping[str, tuple[str, ...]]:
        started = {job: tuple(filter(self.is_started_by_others, names)) for job, names in self._dependents.items()}
        return {job: names for job, names in started.items() if names}

    @cached_property
    def _above(self) -> Mapping[str, tuple[str, ...]]:
        """The dependencies of each job that other jobs start."""
        started = filter(self.is_started_by_others, self._all)
        return {job: tuple(one.job for one in self._all[job].depends_on) for job in started}

    def _reached(self, job: str, edges: Mapping[str, Iterable[str]]) -> set[str]:
        reached: set[str] = set()
        rest = [job]
        while rest:
            for name in edges.get(rest.pop(), ()):
                if name not in reached:
                    reached.add(name)
                    rest.append(name)
        return reached

    def find_problems(self, unreadable_jobs: Iterable[str] = ()) -> list[DependencyProblem]:
        """Return every problem: names without a job, and cycles. Empty if the dependencies are valid.

        `unreadable_jobs`: names of jobs whose definitions could not be read.
        """
        return [*self._unknown(frozenset(unreadable_jobs)), *self._circles()]

    def _unknown(self, unreadable_jobs: frozenset[str]) -> Iterator[DependencyProblem]:
        names = None
        for job in self._all.values():
            for index, dependency in enumerate(job.depends_on):
                if dependency.job in self._all or dependency.job in unreadable_jobs:
                    continue
                names = names or sorted(self._all.keys() | unreadable_jobs)
                near = suggest_sorted_name(dependency.job, [name for name in names if name != job.name])
                yield DependencyProblem(
                    job.name, index, f"there is no job named {dependency.job!r}{did_you_mean(near)}"
                )

    def _circles(self) -> Iterator[DependencyProblem]:
        """Yield a problem for each dependency that closes a cycle; without those entries no cycle remains."""
        done: set[str] = set()
        for start in self._all:
            if start not in done:
                yield from self._circles_from(start, done)

    def _circles_from(self, start: str, done: set[str]) -> Iterator[DependencyProblem]:
        way = {start: 0}
        rest = [iter(enumerate(self._all[start].depends_on))]
        while rest:
            index, dependency = next(rest[-1], (0, None))
            if dependency is None:
                rest.pop()
                done.add(way.popitem()[0])
            elif dependency.job in way:
                names = list(way)
                yield _circle(names[-1], index, names[way[dependency.job] :])
            elif dependency.job in self._all and dependency.job not in done:
                way[dependency.job] = len(way)
                rest.append(iter(enumerate(self._all[dependency.job].depends_on)))


def _circle(job: str, index: int, names: list[str]) -> DependencyProblem:
    if len(names) == 1:
        return DependencyProblem(job, index, "the job depends on itself", "remove this entry", tuple(names))
    circle = (names[-1], *names[:-1])
    return DependencyProblem(
        job, index, "the jobs depend on each other in a cycle", "remove one of these entries", circle
    )
