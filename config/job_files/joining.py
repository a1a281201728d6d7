"""Puts the jobs of several files together, and finds what is wrong between them. Called by config.job_files.reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from config.documents.document import Document
from config.errors import ConfigurationError
from config.job_files.alerting_checks import find_alerting_problems, find_alerting_warnings
from config.job_files.alerting_section import InvalidEntry, JoinedAlerting, LocatedEntry, join_alerting
from config.job_files.job_set import DeclaredGroup, ExternalUse, JobSet, LocatedExternalUse, check_membership
from jobs.definition import JobDefinition
from jobs.definition.alerting_section import AlertingDefinitions
from jobs.definition.dependencies import DependencyGraph, DependencyProblem
from jobs.policies.execution import CircuitConflict, find_circuit_conflicts
from jobs.policies.groups import ConcurrencyGroup, GroupConflict, find_group_conflicts
from jobs.problems import Finding, Problem, dotted_path
from jobs.problems import KeyPath as KeyPath

_MAX_SHOWN_JOBS = 10
"""Jobs at each end of a long cycle in a message."""


@dataclass(frozen=True, slots=True)
class LocatedJob:
    """A job in a file."""

    job: JobDefinition
    file: str
    line: int
    container: KeyPath
    """Where the jobs of its file stand."""
    entry_key: str | int | None
    """Where it stands among them; None if it is the whole of the file."""
    document: Document | None = None
    """For line numbers, if the job refers to others or has external uses; without its value."""
    uses: tuple[ExternalUse, ...] = ()

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"

    def problem(self, key: str, message: str, hint: str) -> Problem:
        """Return a problem at this key of a job that refers to others."""
        return self.problem_at((key,), message, hint)

    def problem_at(self, keys: KeyPath, message: str, hint: str) -> Problem:
        """Return a problem inside of a job that refers to others, or has alerts."""
        assert self.document is not None, "it refers to other jobs"
        return self.document.problem(Finding((*self.path, *keys), message, hint))

    @property
    def path(self) -> KeyPath:
        return self.container if self.entry_key is None else (*self.container, self.entry_key)


def locate_by_origin(job: JobDefinition, origin: str, document: Callable[[str], Document]) -> LocatedJob:
    """Return a job of which only the origin is known. `document`: makes the document of a file for its problems.

    A stored job has no line.
    """
    file, _, line = origin.rpartition(":")
    file = file or origin
    return LocatedJob(job, file, int(line) if line.isdigit() else 1, (), None, document(file))


@dataclass(frozen=True, slots=True)
class FileJobs:
    """What one file holds."""

    jobs: tuple[LocatedJob, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    groups: tuple[DeclaredGroup, ...] = ()
    invalid_names: tuple[str, ...] = ()
    """Names of the jobs of which something is wrong."""
    is_readable: bool = True
    alerting: tuple[LocatedEntry, ...] = ()
    invalid_alerting: tuple[InvalidEntry, ...] = ()


def join_files(
    files: Iterable[FileJobs], *, folder: str = "", alerting_in_force: AlertingDefinitions | None = None
) -> JobSet:
    """All files' jobs.

    `folder`: of the files, empty if they are in no folder.
    `alerting_in_force`: what all job files define, if these are some files alone.

    Raises:
        ConfigurationError: a file has a problem, a name is defined twice, a job depends on an unknown job or on itself,
            two jobs give a concurrency group different limits, or a group's circuit different policies, or a job joins
            a group whose declaration does not admit it, or the sections `alerting` are wrong together.
    """
    files = list(files)
    accepted, problems = _collect_jobs(files)
    warnings = [warning for file in files for warning in file.warnings]
    groups = [group for file in files for group in file.groups]
    broken = {name for file in files for name in file.invalid_names}
    are_readable = all(file.is_readable for file in files)
    problems += [
        locate_dependency_problem(wrong, accepted)
        for wrong in find_wrong_dependencies(accepted, broken)
        # The unreadable file can contain the missing job.
        if are_readable or wrong.circle
    ]
    problems += [problem for _, problem in find_disagreements(accepted, groups)]
    strangers = check_membership(accepted.values(), groups)
    problems += strangers.problems
    alerting = _join_alerting_of(files, accepted, broken, folder, alerting_in_force)
    problems += [*alerting.problems, *find_alerting_problems(alerting.context)]
    members = [one for name, one in accepted.items() if name not in strangers.rejected_jobs]
    jobs = JobSet(
        {one.job.name: one.job for one in members},
        {one.job.name: one.origin for one in members},
        warnings=(*warnings, *strangers.warnings, *find_alerting_warnings(alerting.context)),
        uses=tuple(locate_uses(members)),
        groups=tuple(groups),
        alerting=alerting.own,
    )
    if problems:
        raise ConfigurationError(problems, jobs)
    return jobs


def _join_alerting_of(
    files: Sequence[FileJobs],
    jobs: Mapping[str, LocatedJob],
    broken: Iterable[str],
    folder: str,
    in_force: AlertingDefinitions | None,
) -> JoinedAlerting:
    return join_alerting(
        (entry for file in files for entry in file.alerting),
        jobs,
        broken=broken,
        invalid=(one for file in files for one in file.invalid_alerting),
        is_complete=all(file.is_readable for file in files),
        in_force=in_force,
        folder=folder,
    )


def _collect_jobs(files: Iterable[FileJobs]) -> tuple[dict[str, LocatedJob], list[Problem]]:
    """Return the jobs by name, and the problems of single files with those of names that are defined twice."""
    jobs: dict[str, LocatedJob] = {}
    problems: list[Problem] = []
    for file in files:
        problems += file.problems
        for one in file.jobs:
            first = jobs.setdefault(one.job.name, one)
            if first is not one:
                problems.append(_defined_twice(first, one))
    return jobs, problems


def find_wrong_dependencies(
    jobs: Mapping[str, LocatedJob], unreadable_jobs: Iterable[str] = ()
) -> list[DependencyProblem]:
    """Return the dependencies on unknown jobs, and those that close a cycle."""
    return DependencyGraph(one.job for one in jobs.values()).find_problems(unreadable_jobs)


def find_disagreements(
    jobs: Mapping[str, LocatedJob], declared: Iterable[DeclaredGroup]
) -> Iterator[tuple[str, Problem]]:
    """Yield each job that gives a concurrency group or a shared circuit other values than an earlier job.

    A concurrency group that is not declared is private to its file.
    """
    shared = {group.name for group in declared}

    def groups() -> Iterator[tuple[str, ConcurrencyGroup | None, str]]:
        for one in jobs.values():
            group = one.job.concurrency_group
            yield one.job.name, group, "" if group is None or group.name in shared else one.file

    for limit in find_group_conflicts(groups()):
        yield limit.job, _wrong_limit(limit, jobs)
    for circuit in find_circuit_conflicts((one.job.name, one.job.circuit) for one in jobs.values()):
        yield circuit.job, _wrong_circuit(circuit, jobs)


def locate_uses(jobs: Iterable[LocatedJob]) -> Iterator[LocatedExternalUse]:
    for one in jobs:
        if one.document is not None:
            yield from (LocatedExternalUse(one.job, use, one.document) for use in one.uses)


def _defined_twice(first: LocatedJob, second: LocatedJob) -> Problem:
    message = f"the job {first.job.name} is defined twice: first in {first.origin}"
    return Problem(dotted_path(*second.path), message, "rename one of them", second.file, second.line)


def locate_dependency_problem(wrong: DependencyProblem, jobs: Mapping[str, LocatedJob]) -> Problem:
    job = jobs[wrong.job]
    message = wrong.message
    if len(wrong.circle) > 1:
        message += f": {_circle_text(wrong.circle, jobs)}"
    finding = Finding((*job.path, "depends_on", wrong.index), message, wrong.hint)
    assert job.document is not None, "it depends on others"
    return job.document.problem(finding)


def _wrong_limit(wrong: GroupConflict, jobs: Mapping[str, LocatedJob]) -> Problem:
    job, first = jobs[wrong.job], jobs[wrong.first]
    message = (
        f"{wrong.job} lets {wrong.limit} concurrent runs in the group {wrong.group}, "
        f"and {wrong.first} ({first.origin}) {wrong.first_limit}"
    )
    return job.problem("concurrency_group", message, "give the group one limit in all of its jobs")


def _wrong_circuit(wrong: CircuitConflict, jobs: Mapping[str, LocatedJob]) -> Problem:
    job, first = jobs[wrong.job], jobs[wrong.first]
    message = (
        f"{wrong.job} and {wrong.first} ({first.origin}) share the circuit of the group {wrong.group}, "
        f"but differ in its {wrong.field}"
    )
    return job.problem("circuit", message, "give the group one circuit in all of its jobs")


def _circle_text(circle: tuple[str, ...], jobs: Mapping[str, LocatedJob]) -> str:
    """`a (jobs/a.yaml:3) -> b (jobs/b.yaml:7) -> a`."""
    shown = [f"{name} ({jobs[name].origin})" for name in circle]
    if len(shown) > 2 * _MAX_SHOWN_JOBS:
        shown[_MAX_SHOWN_JOBS:-_MAX_SHOWN_JOBS] = [f"{len(shown) - 2 * _MAX_SHOWN_JOBS} more"]
    return " -> ".join([*shown, circle[0]])
