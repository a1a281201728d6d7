"""Creates, replaces, patches, deletes and restores one stored job. Created by scheduler.app.building.

Only the definition changes. A pause, an override of the circuit, the cursor and history belong to the name of the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.problems import Problem
from scheduler.catalog.catalog import UnknownJob
from scheduler.catalog.composition import JobSources
from scheduler.catalog.written_jobs import find_written_name
from scheduler.errors import Conflict, InvalidDefinition, NotFound
from scheduler.identity.caller import Caller
from scheduler.operations.stored_jobs.auditing import audit_job_change
from scheduler.operations.stored_jobs.committing import UNCHANGED, Decision, StoredJobCommitter, read_only_message
from scheduler.operations.stored_jobs.merge_patch import apply_merge_patch
from scheduler.operations.stored_jobs.preconditions import Precondition
from scheduler.queries.stored_jobs import find_stored_job
from scheduler.stores.rows.json_text import decode_json, encode_json
from scheduler.stores.stored_jobs.repository import StoredJobs
from scheduler.stores.stored_jobs.tree import StoredEntry
from scheduler.stores.stored_jobs.writes import JobWrite


class StoredJobEditor:
    """Every method raises StoreError, and what StoredJobCommitter.commit raises."""

    def __init__(self, stored: StoredJobs, committer: StoredJobCommitter) -> None:
        self._stored = stored
        self._committer = committer

    async def create(self, definition: Any, caller: Caller) -> str:
        """Store a new job, whose definition contains its name. Return the name. Raises Conflict: the name is used."""
        name = find_written_name(definition)
        if name is None:
            raise InvalidDefinition([Problem("name", "is missing", "give the job a name")])

        async def decide(sources: JobSources) -> Decision:
            if _find_entry(sources, name, caller) is not None:
                raise Conflict(f"the job {name} exists already: PUT /api/jobs/{name} replaces it")
            return _write(sources, name, definition, "created")

        await self._committer.commit(caller, decide)
        return name

    async def put(self, name: str, definition: Any, precondition: Precondition, caller: Caller) -> bool:
        """Create or replace a job. Return whether it was created. Raises PreconditionFailed."""

        async def decide(sources: JobSources) -> Decision:
            entry = _find_entry(sources, name, caller)
            if entry is None:
                _refuse_file_job(sources, name, caller)
            precondition.check(name, entry)
            if entry is not None and entry.text == encode_json(definition):
                return UNCHANGED
            return _write(sources, name, definition, "created" if entry is None else "replaced")

        await self._committer.commit(caller, decide)
        return not precondition.exists

    async def patch(self, name: str, patch: Any, precondition: Precondition, caller: Caller) -> None:
        """Apply a JSON merge patch to the definition as it was written. Raises UnknownJob, PreconditionFailed."""

        async def decide(sources: JobSources) -> Decision:
            entry = _require_entry(sources, name, caller)
            precondition.check(name, entry)
            definition = apply_merge_patch(decode_json(entry.text), patch)
            if encode_json(definition) == entry.text:
                return UNCHANGED
            return _write(sources, name, definition, "patched")

        await self._committer.commit(caller, decide)

    async def delete(self, name: str, precondition: Precondition, caller: Caller) -> None:
        """Delete a job; its versions and its history stay. Raises UnknownJob, PreconditionFailed."""

        async def decide(sources: JobSources) -> Decision:
            entry = _require_entry(sources, name, caller)
            precondition.check(name, entry)
            write = JobWrite(name, None, entry.owner)
            return Decision([write], audit_job_change("deleted", entry, write))

        await self._committer.commit(caller, decide)

    async def restore(self, name: str, number: int, precondition: Precondition, caller: Caller) -> None:
        """Make the definition of an earlier version the current one, as a new version, also of a deleted job.

        Raises:
            UnknownJob: no job has or had that name.
            NotFound: the version is not retained, or has no definition.
            PreconditionFailed: see Precondition.check.
        """

        async def decide(sources: JobSources) -> Decision:
            precondition.check(name, _find_entry(sources, name, caller))
            entry = sources.tree.find(name)
            if entry is None:
                raise UnknownJob(name)
            definition = await self._read_definition(entry, number)
            return _write(sources, name, definition, "restored", f"restored version {number}")

        await self._committer.commit(caller, decide)

    async def _read_definition(self, entry: StoredEntry, number: int) -> Mapping[str, Any]:
        versions = {version.number: version for version in await self._stored.list_versions(entry)}
        if (version := versions.get(number)) is None or version.definition is None:
            what = "has no definition" if version is not None else "is not retained"
            raise NotFound(f"version {number} of the job {entry.name} {what}")
        return version.definition


def _find_entry(sources: JobSources, name: str, caller: Caller) -> StoredEntry | None:
    found = find_stored_job(sources, name, caller)
    if found is None and name in sources.stored:
        raise Conflict(f"the name {name} is used")
    return None if found is None else found.entry


def _require_entry(sources: JobSources, name: str, caller: Caller) -> StoredEntry:
    """Raises UnknownJob; Conflict: a job file defines the job."""
    found = find_stored_job(sources, name, caller)
    if found is not None:
        return found.entry
    _refuse_file_job(sources, name, caller)
    raise UnknownJob(name)


def _refuse_file_job(sources: JobSources, name: str, caller: Caller) -> None:
    of_file = sources.index.jobs.get(name)
    if of_file is not None and caller.principal.sees(of_file.job.tags):
        raise Conflict(read_only_message(name, of_file.origin))


def _write(sources: JobSources, name: str, definition: Any, verb: str, comment: str = "") -> Decision:
    entry = sources.tree.find(name)
    owner = "" if entry is None or entry.is_deleted else entry.owner
    write = JobWrite(name, definition, owner, comment)
    return Decision([write], audit_job_change(verb, entry, write))
