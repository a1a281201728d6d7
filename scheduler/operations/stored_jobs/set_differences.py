"""Compares a desired set with the stored jobs: what is written, and what is in conflict. Pure.

Called by sets, in a thread.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler.catalog.composition import JobSources
from scheduler.catalog.written_jobs import LocatedStoredJob, WrittenJobs
from scheduler.identity.principal import Caller
from scheduler.operations.stored_jobs.committing import StoredJobCommitter
from scheduler.operations.stored_jobs.visibility import is_used_by_others, read_only_message, used_message
from scheduler.stores.rows.json_text import encode_json
from scheduler.stores.stored_jobs.writes import JobWrite


@dataclass(slots=True)
class SetDifferences:
    """`conflicts`: reasons by name of the job. `unchanged`: the number of jobs that stay as they are."""

    writes: list[JobWrite] = field(default_factory=list)
    conflicts: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0


def compare_set(
    sources: JobSources,
    owner: str,
    written: WrittenJobs,
    adopt: bool,
    committer: StoredJobCommitter,
    caller: Caller,
    past: Container[str],
) -> SetDifferences:
    """`past`: names whose past belongs to jobs that do not exist for the caller."""
    found = SetDifferences()
    for name, definition in written.definitions.items():
        if name in past or is_used_by_others(sources, name, caller):
            found.conflicts[name] = used_message(name)
            continue
        if (of_file := sources.index.jobs.get(name)) is not None:
            found.conflicts[name] = read_only_message(name, of_file.origin)
            continue
        entry = sources.tree.find_job(name)
        if entry is not None and entry.owner != owner and not adopt:
            holder = f"belongs to the set {entry.owner}" if entry.owner else "was made by hand"
            found.conflicts[name] = f"the job {name} {holder}; adopt it to make it part of this set"
        elif entry is not None and entry.owner == owner and _is_equal(sources, name, definition, committer):
            found.unchanged += 1
        else:
            found.writes.append(JobWrite(name, definition, owner, f"set {owner}"))
    found.writes += _removals(sources, owner, written, caller)
    return found


def _removals(sources: JobSources, owner: str, written: WrittenJobs, caller: Caller) -> Iterator[JobWrite]:
    for name, one in sources.stored.items():
        is_removed = one.entry.owner == owner and name not in written.definitions
        if is_removed and not is_used_by_others(sources, name, caller):
            yield JobWrite(name, None, owner, f"set {owner}")


def _is_equal(sources: JobSources, name: str, definition: Mapping[str, Any], committer: StoredJobCommitter) -> bool:
    known = sources.stored[name]
    if encode_json(definition) == known.entry.text:
        return True
    if known.located is None:
        return False
    located = committer.define(name, definition)
    return isinstance(located, LocatedStoredJob) and located.job == known.located.job
