"""Creates, duplicates, replaces, patches, deletes and restores one stored job. Created by scheduler.app.program.

Only the definition changes. A pause, an override of the circuit, the cursor and history belong to the name of the job;
a new job does not get the pause of a former one. `allow_literal`: literal credentials are not a problem. With a
`Precondition` the caller requires that no other caller has changed the job meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobs.problems import Problem
from scheduler.catalog.catalog import Operation
from scheduler.catalog.composition import JobSources
from scheduler.catalog.written_jobs import find_written_name, rename_definition
from scheduler.errors import InvalidDefinition, NotFound, PreconditionFailed
from scheduler.features.stored_jobs.allowed_changes import is_used_by_others, refuse_file_job, refuse_used_name
from scheduler.features.stored_jobs.committing import UNCHANGED, Decision, StoredJobCommitter, audit_job_change
from scheduler.features.stored_jobs.queries import (
    COPY_OF,
    find_declared_job,
    find_stored_job,
    select_visible_versions,
    unknown_job,
)
from scheduler.identity.principal import Caller
from scheduler.stores.rows import decode_json, encode_json
from scheduler.stores.stored_jobs.repository import StoredJobs
from scheduler.stores.stored_jobs.tree import JobVersion, JobWrite, StoredEntry


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """Return the target with the patch: null removes a member, an object is merged, any other value replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = apply_merge_patch(merged.get(key), value)
    return merged


@dataclass(frozen=True, slots=True)
class Precondition:
    """`exists`: whether the job must exist. `etags`: one of these must be current; None: any.

    The etags are quoted, as HTTP writes them.
    """

    exists: bool
    etags: frozenset[str] | None = None

    def check(self, name: str, entry: StoredEntry | None) -> None:
        """Compare it with the stored job. Raises PreconditionFailed."""
        current = None if entry is None else format_etag(entry)
        if not self.exists:
            if current is not None:
                raise PreconditionFailed(
                    f"the job {name} exists already: its version is {current}, replace that one", current
                )
        elif current is None:
            raise PreconditionFailed(f"the job {name} is not stored", None)
        elif self.etags is not None and current not in self.etags:
            raise PreconditionFailed(f"the job {name} was changed: its version is {current}, read it again", current)


NEW_JOB = Precondition(exists=False)
ANY_VERSION = Precondition(exists=True)


def format_etag(entry: StoredEntry) -> str:
    """Return the etag of a stored definition, quoted."""
    return f'"{entry.etag}"'


class StoredJobEditor(Operation):
    """Every method that awaits raises StoreError, and what StoredJobCommitter.commit raises."""

    def __init__(self, stored: StoredJobs, committer: StoredJobCommitter) -> None:
        self._stored = stored
        self._committer = committer

    async def create(self, definition: Any, caller: Caller, *, allow_literal: bool = False) -> str:
        """Store a new job, whose definition contains its name. Return the name. Raises Conflict: the name is used."""
        name = find_written_name(definition)
        if name is None:
            raise InvalidDefinition([Problem("name", "is missing", "give the job a name")])

        async def decide(sources: JobSources) -> Decision:
            refuse_used_name(sources, name, caller)
            return replace(_write(sources, name, definition, "created"), allow_literal=allow_literal)

        await self._committer.commit(caller, decide)
        return name

    async def put(
        self, name: str, definition: Any, precondition: Precondition, caller: Caller, *, allow_literal: bool = False
    ) -> bool:
        """Create or replace a job. Return whether it was created. Raises PreconditionFailed."""

        async def decide(sources: JobSources) -> Decision:
            entry = _find_entry(sources, name, caller)
            if entry is None:
                _require_absence(sources, name, precondition, caller)
            precondition.check(name, entry)
            if entry is not None and entry.text == encode_json(definition):
                return UNCHANGED
            decision = _write(sources, name, definition, "created" if entry is None else "replaced")
            return replace(decision, allow_literal=allow_literal)

        await self._committer.commit(caller, decide)
        return not precondition.exists

    async def duplicate(
        self, name: str, new_name: str, patch: Any, caller: Caller, *, allow_literal: bool = False
    ) -> None:
        """Store a copy of any job under a new name, with a merge patch. Raises UnknownJob; Conflict: it is used."""

        async def decide(sources: JobSources) -> Decision:
            declared = find_declared_job(sources, name, caller)
            if declared is None:
                raise unknown_job(sources, name, caller)
            refuse_used_name(sources, new_name, caller)
            definition = rename_definition(apply_merge_patch(declared.definition, patch), new_name)
            decision = _write(sources, new_name, definition, "created", f"{COPY_OF}{name}", copied=name)
            return replace(decision, allow_literal=allow_literal)

        await self._committer.commit(caller, decide)

    async def patch(
        self, name: str, patch: Any, precondition: Precondition, caller: Caller, *, allow_literal: bool = False
    ) -> None:
        """Apply a JSON merge patch to the definition as it was written. Raises UnknownJob, PreconditionFailed."""

        async def decide(sources: JobSources) -> Decision:
            entry = _require_entry(sources, name, caller)
            precondition.check(name, entry)
            definition = apply_merge_patch(decode_json(entry.text), patch)
            if encode_json(definition) == entry.text:
                return UNCHANGED
            return replace(_write(sources, name, definition, "patched"), allow_literal=allow_literal)

        await self._committer.commit(caller, decide)

    async def delete(self, name: str, precondition: Precondition, caller: Caller) -> None:
        """Delete a job; its versions and its history stay. Raises UnknownJob, PreconditionFailed."""

        async def decide(sources: JobSources) -> Decision:
            entry = _require_entry(sources, name, caller)
            precondition.check(name, entry)
            write = JobWrite(name, None, entry.owner)
            return Decision([write], audit_job_change("deleted", entry, write))

        await self._committer.commit(caller, decide)

    async def restore(
        self, name: str, number: int, precondition: Precondition, caller: Caller, *, allow_literal: bool = False
    ) -> None:
        """Make the definition of an earlier version the current one, as a new version, also of a deleted job.

        A job that was deleted from a set is part of it again, unless the set itself removed it.

        Raises:
            UnknownJob: no job has or had that name.
            ReadOnlyJob: a job file defines the job.
            NotFound: the version is not retained, or has no definition.
            PreconditionFailed: see Precondition.check.
        """

        async def decide(sources: JobSources) -> Decision:
            versions = await self._list_versions(sources, name, caller)
            precondition.check(name, _find_entry(sources, name, caller))
            definition = _find_definition(versions, name, number)
            owner = "" if versions[0].comment else versions[0].owner
            decision = _write(sources, name, definition, "restored", f"restored version {number}", owner=owner)
            return replace(decision, allow_literal=allow_literal, is_restored=True)

        await self._committer.commit(caller, decide)

    def check_writable(self, name: str, caller: Caller) -> None:
        """Raises ReadOnlyJob: a job file defines the job."""
        refuse_file_job(self._committer.sources, name, caller)

    async def _list_versions(self, sources: JobSources, name: str, caller: Caller) -> Sequence[JobVersion]:
        """Raises ReadOnlyJob; UnknownJob: the job does not exist for the caller, and none of that name was deleted."""
        entry = sources.tree.find(name)
        if entry is None:
            refuse_file_job(sources, name, caller)
        if entry is None or is_used_by_others(sources, name, caller):
            raise unknown_job(sources, name, caller)
        versions = await self._stored.list_versions(entry)
        visible = select_visible_versions(versions, caller, self._committer.define)
        if not visible:
            raise unknown_job(sources, name, caller)
        return visible


def _find_definition(versions: Sequence[JobVersion], name: str, number: int) -> Mapping[str, Any]:
    """Raises NotFound."""
    version = next((each for each in versions if each.number == number), None)
    if version is None or version.definition is None:
        what = "has no definition" if version is not None else "is not retained"
        raise NotFound(f"version {number} of the job {name} {what}")
    return version.definition


def _find_entry(sources: JobSources, name: str, caller: Caller) -> StoredEntry | None:
    found = find_stored_job(sources, name, caller)
    return None if found is None else found.entry


def _require_entry(sources: JobSources, name: str, caller: Caller) -> StoredEntry:
    """Raises UnknownJob; ReadOnlyJob: a job file defines the job."""
    entry = _find_entry(sources, name, caller)
    if entry is not None:
        return entry
    refuse_file_job(sources, name, caller)
    raise unknown_job(sources, name, caller)


def _require_absence(sources: JobSources, name: str, precondition: Precondition, caller: Caller) -> None:
    """Check a PUT to a name without a job. For a caller that is limited to tags, other jobs do not exist.

    Raises:
        Conflict: a job file defines the job, or the name is used by a job that does not exist for the caller.
        UnknownJob: the caller is limited to tags and requires that the job exists.
        PreconditionFailed: any other caller requires that the job exists.
    """
    refuse_file_job(sources, name, caller)
    if precondition.exists and caller.principal.tags:
        raise unknown_job(sources, name, caller)
    precondition.check(name, None)
    refuse_used_name(sources, name, caller)


def _write(
    sources: JobSources, name: str, definition: Any, verb: str, comment: str = "", *, copied: str = "", owner: str = ""
) -> Decision:
    """`copied`: the job of which it is a copy. `owner`: the set of a new job."""
    entry = sources.tree.find(name)
    if entry is not None and not entry.is_deleted:
        owner = entry.owner
    write = JobWrite(name, definition, owner, comment)
    return Decision([write], audit_job_change(verb, entry, write, copied))
