"""The dependencies between jobs: validation, and the jobs that a run starts. Pure.

Called by config.job_files.joining, which reports each problem with its line, and by scheduler.catalog.catalog. A job
*starts* another one that depends on it and has no schedule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from jobs.problems.suggestions import did_you_mean, suggest_sorted_name

if TYPE_CHECKING:
    from jobs.definition import JobDefinition


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
        found = self._roots.get(job)
        if found is None:
            found = self._roots[job] = tuple(
                sorted(name for name in self.all_starting_jobs(job) if name not in self._above)
            )
        return found

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
        found: set[str] = set()
        rest = [job]
        while rest:
            for name in edges.get(rest.pop(), ()):
                if name not in found:
                    found.add(name)
                    rest.append(name)
        return found

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
