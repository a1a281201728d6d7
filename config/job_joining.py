"""Puts the jobs of several files together, and finds what is wrong between them. Called by config.job_files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from config.documents import Document
from config.errors import ConfigurationError
from config.job_groups import DeclaredGroup, strangers_of
from config.job_set import JobSet, LocatedUse, Use
from jobs.definition import JobDefinition
from jobs.graph import Graph, Wrong
from jobs.groups import Disagreement, disagreements
from jobs.policies import CircuitDisagreement, circuit_disagreements
from jobs.problems import Finding, Problem, dotted
from jobs.problems import Path as KeyPath

_SHOWN = 10
"""Jobs at either end of a long circle that a problem names."""


@dataclass(frozen=True, slots=True)
class Found:
    """A job in a file."""

    job: JobDefinition
    file: str
    line: int
    container: KeyPath
    """Where the jobs of its file stand."""
    step: str | int | None
    """Where it stands among them; None if it is the whole of the file."""
    document: Document | None = None
    """To find lines in, for a job that has to do with others or uses something; without its value."""
    uses: tuple[Use, ...] = ()

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"

    def problem(self, key: str, message: str, hint: str) -> Problem:
        """Return a problem at this key of a job that has to do with others."""
        assert self.document is not None, "it shares something with others"
        return self.document.problem(Finding((*self.key, key), message, hint))

    @property
    def key(self) -> KeyPath:
        return self.container if self.step is None else (*self.container, self.step)


@dataclass(frozen=True, slots=True)
class FileJobs:
    """What one file holds."""

    jobs: tuple[Found, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    groups: tuple[DeclaredGroup, ...] = ()
    broken: tuple[str, ...] = ()
    """Names of the jobs of which something is wrong."""
    is_readable: bool = True


def joined(files: Iterable[FileJobs]) -> JobSet:
    """All files' jobs.

    Raises:
        ConfigurationError: anything is wrong in one of them, a name is there twice, or a job depends on none that is
            there, or on itself in the end, or two jobs give a concurrency group different limits, or a group's circuit
            different policies, or a job joins a group whose declaration does not admit it.
    """
    found: dict[str, Found] = {}
    problems: list[Problem] = []
    warnings: list[Problem] = []
    groups: list[DeclaredGroup] = []
    broken: set[str] = set()
    are_readable = True
    for file in files:
        problems += file.problems
        warnings += file.warnings
        groups += file.groups
        broken.update(file.broken)
        are_readable = are_readable and file.is_readable
        for one in file.jobs:
            first = found.setdefault(one.job.name, one)
            if first is not one:
                problems.append(_defined_twice(first, one))
    for wrong in Graph(one.job for one in found.values()).wrong(broken):
        # What is not there may stand in the file that cannot be read.
        if are_readable or wrong.circle:
            problems.append(_wrong_dependency(wrong, found))
    of_groups = disagreements((one.job.name, one.job.concurrency_group) for one in found.values())
    problems += [_wrong_limit(disagreement, found) for disagreement in of_groups]
    of_circuits = circuit_disagreements((one.job.name, one.job.circuit) for one in found.values())
    problems += [_wrong_circuit(disagreement, found) for disagreement in of_circuits]
    strangers = strangers_of(found.values(), groups)
    problems += strangers.problems
    members = [one for name, one in found.items() if name not in strangers.refused]
    jobs = JobSet(
        {one.job.name: one.job for one in members},
        {one.job.name: one.origin for one in members},
        warnings=(*warnings, *strangers.warnings),
        uses=tuple(_located(members)),
    )
    if problems:
        raise ConfigurationError(problems, jobs)
    return jobs


def _located(found: Iterable[Found]) -> Iterator[LocatedUse]:
    for one in found:
        if one.document is not None:
            yield from (LocatedUse(one.job, use, one.document) for use in one.uses)


def _defined_twice(first: Found, second: Found) -> Problem:
    message = f"the job {first.job.name} is defined twice: first in {first.origin}"
    return Problem(dotted(*second.key), message, "rename one of them", second.file, second.line)


def _wrong_dependency(wrong: Wrong, found: Mapping[str, Found]) -> Problem:
    job = found[wrong.job]
    message = wrong.message
    if len(wrong.circle) > 1:
        message += f": {_circle_text(wrong.circle, found)}"
    finding = Finding((*job.key, "depends_on", wrong.index), message, wrong.hint)
    assert job.document is not None, "it depends on others"
    return job.document.problem(finding)


def _wrong_limit(wrong: Disagreement, found: Mapping[str, Found]) -> Problem:
    job, first = found[wrong.job], found[wrong.first]
    message = (
        f"{wrong.job} lets {wrong.limit} runs of the group {wrong.group} go on at a time, "
        f"and {wrong.first} ({first.origin}) {wrong.first_limit}"
    )
    return job.problem("concurrency_group", message, "give the group one limit in all of its jobs")


def _wrong_circuit(wrong: CircuitDisagreement, found: Mapping[str, Found]) -> Problem:
    job, first = found[wrong.job], found[wrong.first]
    message = (
        f"{wrong.job} and {wrong.first} ({first.origin}) share the circuit of the group {wrong.group}, "
        f"but differ in its {wrong.field}"
    )
    return job.problem("circuit", message, "give the group one circuit in all of its jobs")


def _circle_text(circle: tuple[str, ...], found: Mapping[str, Found]) -> str:
    """`a (jobs/a.yaml:3) -> b (jobs/b.yaml:7) -> a`."""
    shown = [f"{name} ({found[name].origin})" for name in circle]
    if len(shown) > 2 * _SHOWN:
        shown[_SHOWN:-_SHOWN] = [f"{len(shown) - 2 * _SHOWN} more"]
    return " -> ".join([*shown, circle[0]])
