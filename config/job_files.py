"""Job files into a `JobSet`: all jobs, or every problem of every file at once. Called by config.loading.

What a file gave is kept by its content, so that reading again parses changed files only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import NamedTuple

from config.documents import Document, Unreadable, parse_document, read_bytes
from config.errors import ConfigurationError
from config.job_entries import define, entries_of, name_of
from config.shared_parts import SharedParts
from jobs.definition import JobDefinition
from jobs.graph import Graph, Wrong
from jobs.groups import Disagreement, disagreements
from jobs.policies import CircuitDisagreement, circuit_disagreements
from jobs.problems import Finding, Problem, dotted
from jobs.problems import Path as KeyPath

ENDINGS = (".yaml", ".yml", ".json")
_SHOWN = 10
"""Jobs at either end of a long circle that a problem names."""


@dataclass(frozen=True, slots=True)
class JobSet:
    """Jobs by name, in the order of the files."""

    jobs: Mapping[str, JobDefinition] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where each job stands, such as `config/jobs/checkout.yaml:12`."""
    samples: frozenset[str] = frozenset()
    """The names of sample jobs, which need the sample target."""
    digest: str = ""
    """Tells these files' contents from others."""

    def __iter__(self) -> Iterator[JobDefinition]:
        return iter(self.jobs.values())

    def __len__(self) -> int:
        return len(self.jobs)

    @property
    def has_samples(self) -> bool:
        return bool(self.samples)

    def below(self, other: JobSet) -> JobSet:
        """Both sets; where both have a job of one name, the other's."""
        samples = (self.samples - other.jobs.keys()) | other.samples
        digest = _digest([self.digest, other.digest])
        return JobSet({**self.jobs, **other.jobs}, {**self.origins, **other.origins}, samples, digest)


class JobFile(NamedTuple):
    """A file of jobs, from wherever."""

    name: str
    shown: str
    """The name as problems and origins tell it, such as `config/jobs/checkout.yaml`."""
    content: bytes | Problem
    """Or why it cannot be read."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A job in a file."""

    job: JobDefinition
    file: str
    line: int
    container: KeyPath
    """Where the jobs of its file stand."""
    step: str | int | None
    """Where it stands among them; None if it is the whole of the file."""
    document: Document | None = None
    """To find lines in, for a job that has to do with others; without its value."""

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def key(self) -> KeyPath:
        return self.container if self.step is None else (*self.container, self.step)


@dataclass(frozen=True, slots=True)
class _FileJobs:
    """What one file holds."""

    jobs: tuple[_Found, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: tuple[str, ...] = ()
    """Names of the jobs of which something is wrong."""
    is_readable: bool = True


class JobFileReader:
    """Reads folders of job files, again and again. Not to be used by two threads at once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: dict[Path | str, dict[str, _FileJobs]] = {}

    def read(self, place: Path, *, substitutions: Mapping[str, str] | None = None) -> JobSet:
        """All jobs of a folder's *.yaml, *.yml and *.json files (not of folders inside it), or of one file.

        `substitutions`: see config.documents.parse_document.

        Raises:
            ConfigurationError: with every problem of every file; also if `place` is not there.
        """
        return self.parse(place, map(self._file, self.files(place)), substitutions=substitutions)

    def parse(
        self, place: Path | str, files: Iterable[JobFile], *, substitutions: Mapping[str, str] | None = None
    ) -> JobSet:
        """The jobs of these files, all of those at `place`. Only what has changed since the last time is parsed.

        Raises:
            ConfigurationError: as `read`.
        """
        before = self._kept.get(place, {})
        now: dict[str, _FileJobs] = {}
        read: list[_FileJobs] = []
        shared = SharedParts()
        for name, shown, content in files:
            if isinstance(content, Problem):
                read.append(_FileJobs(problems=(content,), is_readable=False))
                continue
            key = f"{name} {hashlib.sha256(content).hexdigest()} {sorted((substitutions or {}).items())}"
            now[key] = before.get(key) or _parse(content, shown, PurePath(name).stem, substitutions, shared)
            read.append(now[key])
        self._kept[place] = now  # what is not there any more is forgotten
        return replace(_joined(read), digest=_digest(now))

    def _file(self, file: Path) -> JobFile:
        shown = self._shown(file)
        try:
            return JobFile(file.name, shown, read_bytes(file, shown))
        except Unreadable as error:
            return JobFile(file.name, shown, error.problem)

    def files(self, place: Path) -> list[Path]:
        """The job files there, in order. Raises ConfigurationError."""
        try:
            if os.path.isdir(place):
                return sorted(file for file in place.iterdir() if is_job_file(file.name) and not file.is_dir())
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise ConfigurationError([Problem("", f"cannot be listed: {reason}", file=self._shown(place))]) from None
        if place.suffix.lower() not in ENDINGS and os.path.exists(place):
            message = f"is no job file: its name ends in none of {' '.join(ENDINGS)}"
            raise ConfigurationError([Problem("", message, file=self._shown(place))])
        return [place]

    def _shown(self, file: Path) -> str:
        return str(file.relative_to(self._root) if file.is_relative_to(self._root) else file)


def is_job_file(name: str) -> bool:
    """By its name."""
    # A mounted ConfigMap brings hidden folders and links of its own; so do editors.
    return PurePath(name).suffix.lower() in ENDINGS and not name.startswith(".")


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _parse(
    content: bytes, shown: str, stem: str, substitutions: Mapping[str, str] | None, shared: SharedParts
) -> _FileJobs:
    try:
        document = parse_document(content, shown, substitutions=substitutions)
    except Unreadable as error:
        return _unreadable(error)
    entries = entries_of(document.value, stem)
    findings = list(entries.findings)
    lines = replace(document, value=None)
    jobs: list[_Found] = []
    broken: list[str] = []
    containers: dict[KeyPath, KeyPath] = {}
    for entry in entries.jobs:
        defined = define(entry, entries.defaults, shared)
        if isinstance(defined, JobDefinition):
            line = document.entry_line(entry.path)
            container, step = (entry.path[:-1], entry.path[-1]) if entry.path else ((), None)
            container = containers.setdefault(container, container)
            jobs.append(_Found(defined, shown, line, container, step, lines if _looks_at_others(defined) else None))
        else:
            findings += defined
            broken += name_of(entry)
    problems = document.duplicate_problems()
    problems += [document.problem(finding) for finding in dict.fromkeys(findings)]
    problems.sort(key=lambda problem: problem.line or 1)
    return _FileJobs(tuple(jobs), tuple(problems), tuple(broken))


def _looks_at_others(job: JobDefinition) -> bool:
    shares_circuit = job.circuit is not None and job.circuit.group is not None
    return bool(job.depends_on) or job.concurrency_group is not None or shares_circuit


def _unreadable(error: Unreadable) -> _FileJobs:
    return _FileJobs(problems=(error.problem,), is_readable=False)


def _joined(files: Iterable[_FileJobs]) -> JobSet:
    """All files' jobs.

    Raises:
        ConfigurationError: anything is wrong in one of them, a name is there twice, or a job depends on none that is
            there, or on itself in the end, or two jobs give a concurrency group different limits, or a group's circuit
            different policies.
    """
    found: dict[str, _Found] = {}
    problems: list[Problem] = []
    broken: set[str] = set()
    are_readable = True
    for file in files:
        problems += file.problems
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
    jobs = JobSet({name: one.job for name, one in found.items()}, {name: one.origin for name, one in found.items()})
    if problems:
        raise ConfigurationError(problems, jobs)
    return jobs


def _defined_twice(first: _Found, second: _Found) -> Problem:
    message = f"the job {first.job.name} is defined twice: first in {first.origin}"
    return Problem(dotted(*second.key), message, "rename one of them", second.file, second.line)


def _wrong_dependency(wrong: Wrong, found: Mapping[str, _Found]) -> Problem:
    job = found[wrong.job]
    message = wrong.message
    if len(wrong.circle) > 1:
        message += f": {_circle_text(wrong.circle, found)}"
    finding = Finding((*job.key, "depends_on", wrong.index), message, wrong.hint)
    assert job.document is not None, "it depends on others"
    return job.document.problem(finding)


def _wrong_limit(wrong: Disagreement, found: Mapping[str, _Found]) -> Problem:
    job, first = found[wrong.job], found[wrong.first]
    message = (
        f"{wrong.job} lets {wrong.limit} runs of the group {wrong.group} go on at a time, "
        f"and {wrong.first} ({first.origin}) {wrong.first_limit}"
    )
    return _group_problem(job, "concurrency_group", message, "give the group one limit in all of its jobs")


def _wrong_circuit(wrong: CircuitDisagreement, found: Mapping[str, _Found]) -> Problem:
    job, first = found[wrong.job], found[wrong.first]
    message = (
        f"{wrong.job} and {wrong.first} ({first.origin}) share the circuit of the group {wrong.group}, "
        f"but differ in its {wrong.field}"
    )
    return _group_problem(job, "circuit", message, "give the group one circuit in all of its jobs")


def _group_problem(job: _Found, key: str, message: str, hint: str) -> Problem:
    """At the place where the job names the group."""
    assert job.document is not None, "it shares something with others"
    return job.document.problem(Finding((*job.key, key), message, hint))


def _circle_text(circle: tuple[str, ...], found: Mapping[str, _Found]) -> str:
    """`a (jobs/a.yaml:3) -> b (jobs/b.yaml:7) -> a`."""
    shown = [f"{name} ({found[name].origin})" for name in circle]
    if len(shown) > 2 * _SHOWN:
        shown[_SHOWN:-_SHOWN] = [f"{len(shown) - 2 * _SHOWN} more"]
    return " -> ".join([*shown, circle[0]])
