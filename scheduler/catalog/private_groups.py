"""Concurrency groups that no job file declares are private to the file or set that names them. Pure.

Called by scheduler.catalog.composition. A group that one source alone names keeps its name in the store, so that its
slots stay valid when the program is updated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from jobs.definition import JobDefinition

PrivateGroups = Mapping[str, str]
"""The source of the group, by job."""


def find_private_groups(jobs: Iterable[tuple[JobDefinition, str]], declared: Collection[str]) -> PrivateGroups:
    """Return the source of each job whose undeclared group other sources name, too. `jobs`: with their sources."""
    members: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for job, source in jobs:
        if job.concurrency_group is not None and job.concurrency_group.name not in declared:
            members[job.concurrency_group.name][job.name] = source
    return {
        name: source
        for sources in members.values()
        if len(set(sources.values())) > 1
        for name, source in sources.items()
    }


def source_of_file_job(origin: str) -> str:
    """Return the file of an origin, `config/jobs/checkout.yaml:12`."""
    return origin.rpartition(":")[0] or origin


def source_of_stored_job(owner: str) -> str:
    """Return the set of a stored job; jobs that were made by hand are one source."""
    return f"set {owner}"
