"""The content of all job files as one value, and their sections `groups`: which jobs may share a concurrency group or a
circuit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import ValidationError

from config.documents.document import Document
from config.presets.library import NO_OWN_PRESETS, PRESETS_FOLDER, PresetLibrary
from jobs.definition import JobDefinition
from jobs.definition.alerting_section import NO_ALERTING, AlertingDefinitions
from jobs.policies.groups import GROUP_NAME_PATTERN, GroupMembers
from jobs.problems import MAX_LISTED_PROBLEMS, Finding, KeyPath, Problem, dotted_path, validation_findings

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob

ExternalUseKind = Literal["secret", "scope", "ca_file"]


class ExternalUse(NamedTuple):
    """Something outside the file that a job needs: a secret by its name, an access token of the app's identity by its
    scope, or a file by its path."""

    kind: ExternalUseKind
    name: str
    path: KeyPath
    """The key that names it, as it stands in the file."""


@dataclass(frozen=True, slots=True)
class LocatedExternalUse:
    """A use, and where it stands."""

    job: JobDefinition
    use: ExternalUse
    document: Document

    def problem(self, message: str, hint: str = "") -> Problem:
        """Return a problem at the key that names what is used."""
        return self.document.problem(Finding(self.use.path, message, hint))


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
    warnings: tuple[Problem, ...] = ()
    """What is hardly meant, although the set can be used; without what needs files, secrets or the network to see."""
    uses: tuple[LocatedExternalUse, ...] = ()
    """What the jobs need from outside."""
    groups: tuple[DeclaredGroup, ...] = ()
    alerting: AlertingDefinitions = NO_ALERTING
    presets: PresetLibrary = NO_OWN_PRESETS
    """With those next to the job files."""

    def __iter__(self) -> Iterator[JobDefinition]:
        return iter(self.jobs.values())

    def __len__(self) -> int:
        return len(self.jobs)

    @property
    def has_samples(self) -> bool:
        return bool(self.samples)

    def overridden_by(self, other: JobSet) -> JobSet:
        """Both sets; where both have a job of one name, the other's."""
        return JobSet(
            {**self.jobs, **other.jobs},
            {**self.origins, **other.origins},
            (self.samples - other.jobs.keys()) | other.samples,
            make_digest([self.digest, other.digest]),
            (*self.warnings, *other.warnings),
            (*self.uses, *other.uses),
            (*self.groups, *other.groups),
            self.alerting.overridden_by(other.alerting),
            other.presets if other.presets.own else self.presets,
        )


class JobFile(NamedTuple):
    """A file of jobs, from wherever."""

    name: str
    display_name: str
    """The name as problems and origins tell it, such as `config/jobs/checkout.yaml`."""
    content: bytes | Problem | None
    """Or why it cannot be read; None for a file in a sub-folder, which is not read."""

    @property
    def is_preset(self) -> bool:
        """Whether it is a preset of a user, in the folder `presets` of the place."""
        return self.name.startswith(f"{PRESETS_FOLDER}/") and self.name.count("/") == 1


def make_digest(parts: Iterable[str]) -> str:
    """Return a short text that tells these parts from others."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


GROUPS_KEY = "groups"
MAX_GROUPS_PER_FILE = 1000
"""In a file."""


@dataclass(frozen=True, slots=True)
class DeclaredGroup:
    """A group, its allowed members, and its location."""

    name: str
    members: GroupMembers
    file: str
    line: int

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


def read_groups(value: Any) -> tuple[Mapping[str, GroupMembers], tuple[Finding, ...]]:
    """Read the section of one file. Returns what it declares, and what is wrong with it."""
    if value is None:
        return {}, ()
    if not isinstance(value, dict):
        hint = "write groups: {checkout: {jobs: [checkout-*]}}"
        return {}, (Finding((GROUPS_KEY,), "is not a mapping of groups by name", hint),)
    if len(value) > MAX_GROUPS_PER_FILE:
        message = f"declares {len(value)} groups, expected at most {MAX_GROUPS_PER_FILE}"
        return {}, (Finding((GROUPS_KEY,), message, "split the file"),)
    groups: dict[str, GroupMembers] = {}
    findings: list[Finding] = []
    for name, written in value.items():
        if not GROUP_NAME_PATTERN.fullmatch(name):
            findings.append(Finding((GROUPS_KEY, name), "is not the name of a group: it has a forbidden character"))
            continue
        try:
            groups[name] = GroupMembers.model_validate({} if written is None else written)
        except ValidationError as error:
            found = validation_findings(error.errors(include_url=False), GroupMembers)
            findings += [Finding((GROUPS_KEY, name, *one.path), one.message, one.hint) for one in found]
    if len(findings) > MAX_LISTED_PROBLEMS:
        more = f"has {len(findings) - MAX_LISTED_PROBLEMS} more problems, which are not listed"
        findings[MAX_LISTED_PROBLEMS:] = [Finding((GROUPS_KEY,), more)]
    return groups, tuple(findings)


@dataclass(frozen=True, slots=True)
class MembershipProblems:
    """Problems and warnings about members of groups, and the jobs that are not allowed in their group."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    rejected_jobs: Mapping[str, Problem] = field(default_factory=dict)


def check_membership(jobs: Iterable[LocatedJob], declared: Iterable[DeclaredGroup]) -> MembershipProblems:
    """Find the jobs that join a group whose declaration does not admit them, and shared groups that none declares."""
    groups: dict[str, DeclaredGroup] = {}
    problems: list[Problem] = []
    for group in declared:
        first = groups.setdefault(group.name, group)
        if first is not group:
            message = f"the group {group.name} is declared twice: first in {first.origin}"
            where = dotted_path(GROUPS_KEY, group.name)
            problems.append(Problem(where, message, "declare it in one file alone", group.file, group.line))
    refused: dict[str, Problem] = {}
    undeclared: dict[tuple[str, str], LocatedJob] = {}
    warnings: dict[tuple[str, str], Problem] = {}
    for located in jobs:
        for key, name in _groups_joined_by(located):
            group_or_none = groups.get(name)
            if group_or_none is None:
                first_job = undeclared.setdefault((key, name), located)
                if first_job.file != located.file and (key, name) not in warnings:
                    warnings[key, name] = _undeclared_group(first_job, located, key, name)
            elif not group_or_none.members.admits_job(located.job.name, located.job.tags, PurePath(located.file).name):
                refused[located.job.name] = _rejected_member(located, key, group_or_none)
                problems.append(refused[located.job.name])
    return MembershipProblems(tuple(problems), tuple(warnings.values()), refused)


def _groups_joined_by(located: LocatedJob) -> Iterator[tuple[str, str]]:
    """The key by which the job joins a group, and the group's name."""
    if located.job.concurrency_group is not None:
        yield "concurrency_group", located.job.concurrency_group.name
    if located.job.circuit is not None and located.job.circuit.group is not None:
        yield "circuit", located.job.circuit.group


def _rejected_member(located: LocatedJob, key: str, group: DeclaredGroup) -> Problem:
    message = (
        f"{located.job.name} is not allowed in the group {group.name}: {group.origin} declares it for {group.members}"
    )
    return located.problem(key, message, f"name another group, or let its owner add {located.job.name} there")


def _undeclared_group(first: LocatedJob, located: LocatedJob, key: str, name: str) -> Problem:
    named = f"the group {name} (first {first.job.name} in {first.origin}), and no file declares its members"
    if key == "concurrency_group":
        message = f"jobs of several files name {named}: each file has a separate group"
    else:
        message = f"jobs of several files share {named}: any job can make theirs wait"
    hint = f"declare it next to jobs: groups: {{{name}: {{jobs: [{first.job.name}, {located.job.name}]}}}}"
    return located.problem(key, message, hint)
