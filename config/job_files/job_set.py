"""The content of all job files as one value. Made by config.job_files.reader; read by the hosts and the commands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from config.documents.document import Document
from jobs.definition import JobDefinition
from jobs.definition.alerting_section import NO_ALERTING, AlertingDefinitions
from jobs.problems import Finding, KeyPath, Problem

if TYPE_CHECKING:
    from config.job_files.groups import DeclaredGroup

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
        )


class JobFile(NamedTuple):
    """A file of jobs, from wherever."""

    name: str
    display_name: str
    """The name as problems and origins tell it, such as `config/jobs/checkout.yaml`."""
    content: bytes | Problem | None
    """Or why it cannot be read; None for a file in a sub-folder, which is not read."""


def make_digest(parts: Iterable[str]) -> str:
    """Return a short text that tells these parts from others."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
