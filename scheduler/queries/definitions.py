"""What is found about definitions that are not saved. The port between scheduler.api and scheduler.app, which has the
settings, the secrets and the guard of the targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from jobs.problems import Problem


@dataclass(frozen=True, slots=True)
class DefinitionReview:
    """`jobs`: the valid ones, by name. `denied_targets`: why the settings do not allow the target, by job."""

    jobs: Mapping[str, JobDefinition]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    denied_targets: Mapping[str, str] = field(default_factory=dict)
    unavailable_secrets: tuple[Problem, ...] = ()


class DefinitionReviewer(Protocol):
    async def read(self, content: bytes, *, is_json: bool, catalog: Catalog) -> DefinitionReview:
        """Validate a document as a job file is validated. `catalog`: jobs to which those of the document can refer."""
        ...

    async def review(self, content: bytes, *, is_json: bool, catalog: Catalog) -> DefinitionReview:
        """Return the same with denied targets, credentials and secrets, which takes a few seconds at most."""
        ...


def find_related_jobs(jobs: Sequence[JobDefinition], snapshot: JobSnapshot) -> Iterator[CatalogJob]:
    """Yield the jobs in force that these depend on or have as parents, at any distance, and members of their groups."""
    found: dict[str, CatalogJob] = {}
    left = [name for job in jobs for name in _references_of(job)]
    while left:
        entry = snapshot.find_job(left.pop())
        if entry is not None and entry.job.name not in found:
            found[entry.job.name] = entry
            left += _references_of(entry.job)
    groups = frozenset[str]().union(*map(_groups_of, jobs))
    if groups:
        found |= {entry.job.name: entry for entry in snapshot if _groups_of(entry.job) & groups}
    yield from found.values()


def _references_of(job: JobDefinition) -> list[str]:
    return [*(dependency.job for dependency in job.depends_on), *job.alert_parent]


def _groups_of(job: JobDefinition) -> frozenset[str]:
    """Return the names of the groups that the job is a member of."""
    groups = [job.concurrency_group and job.concurrency_group.name, job.circuit and job.circuit.group]
    return frozenset(group for group in groups if group)
