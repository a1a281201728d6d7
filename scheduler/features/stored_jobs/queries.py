"""Reads declared jobs: definitions as users wrote them, versions and their differences, sets; and since when each job
has had a tag of a caller that is limited to tags.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jobs.problems import Problem, dotted_path
from jobs.problems.findings import suggest_sorted_name
from scheduler.catalog.catalog import Query, UnknownJob
from scheduler.catalog.composition import JobComposer, JobSources, StoredJob
from scheduler.catalog.written_jobs import LocatedStoredJob
from scheduler.errors import NotFound
from scheduler.features.stored_jobs.models import (
    DeclaredJobModel,
    DefinitionProblem,
    FieldChangeModel,
    SetList,
    SetModel,
    VersionDiff,
    VersionList,
    VersionModel,
)
from scheduler.identity.literals import show_definition
from scheduler.identity.principal import Caller, Principal, Tags, written_tags
from scheduler.stores.rows import decode_json
from scheduler.stores.stored_jobs.repository import MAX_VERSIONS, StoredJobs
from scheduler.stores.stored_jobs.tree import JobVersion, StoredEntry, parse_stamp

if TYPE_CHECKING:
    from config.presets.library import PresetLibrary
    from jobs.definition import JobDefinition


class VisibleFrom(NamedTuple):
    """`has_hidden_past`: the version before had other tags."""

    at: datetime
    has_hidden_past: bool


_Known = dict[str, tuple[str, VisibleFrom]]
"""By job: the key of its latest version, and since when it has been visible."""


class VisibleSince:
    """Caches what it has read: a version never changes."""

    def __init__(self, composer: JobComposer, stored: StoredJobs) -> None:
        self._composer = composer
        self._stored = stored
        self._known: dict[Tags, _Known] = {}

    async def read(self, principal: Principal) -> Mapping[str, VisibleFrom]:
        """Return the instant by job, as its retained versions tell. Raises StoreError."""
        entries = [
            job.entry
            for job in self._composer.sources.stored.values()
            if job.located is not None and principal.sees(job.located.job.tags)
        ]
        cached = self._known.get(principal.tags, {})
        visible = {entry.name: (entry.row_key, await self._read(entry, principal, cached)) for entry in entries}
        self._known[principal.tags] = visible
        return {name: since for name, (_, since) in visible.items()}

    async def _read(self, entry: StoredEntry, principal: Principal, cached: _Known) -> VisibleFrom:
        if cached.get(entry.name, ("",))[0] == entry.row_key:
            return cached[entry.name][1]
        since = parse_stamp(entry.stamp)
        for version in await self._stored.list_versions(entry) if entry.number > 1 else ():
            if version.definition is not None and not principal.sees(written_tags(version.definition)):
                return VisibleFrom(since, has_hidden_past=True)
            since = version.at
        return VisibleFrom(since, has_hidden_past=False)


def summarize_sets(entries: Iterable[StoredEntry], generation: int, *, limit: int, after: str) -> SetList:
    """Return a page of the sets of these entries."""
    counts: dict[str, int] = {}
    latest: dict[str, str] = {}
    for entry in entries:
        if entry.owner:
            counts[entry.owner] = counts.get(entry.owner, 0) + 1
            latest[entry.owner] = max(latest.get(entry.owner, ""), entry.stamp)
    owners = sorted(counts)
    start = bisect_right(owners, after)
    some = owners[start : start + limit]
    sets = [SetModel(owner=owner, jobs=counts[owner], changed_at=parse_stamp(latest[owner])) for owner in some]
    return SetList(sets=sets, generation=generation, continuation=some[-1] if start + limit < len(owners) else None)


COPY_OF: Final = "copy of "
"""Start of the comment of the first version of a copy; the name of the copied job follows."""
_ABSENT = object()
Define = Callable[[str, object, int], LocatedStoredJob | tuple[Problem, ...]]
"""Returns the job of a definition, or what is wrong with it. See JobComposer.define."""


@dataclass(frozen=True, slots=True)
class DeclaredJob:
    """A job as it was declared. `version` None: in a job file. `problems`: why it is not in force, or what its alerts
    name that does not exist.
    """

    name: str
    origin: str
    etag: str
    definition: Mapping[str, Any]
    version: int | None = None
    owner: str = ""
    problems: tuple[Problem, ...] = ()
    is_in_force: bool = True


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field with its values; None: it was or is not set. `path`: such as `check.url`."""

    path: str
    before: Any
    after: Any


class StoredJobQueries(Query):
    """Reads declared jobs, their versions and their sets, as far as they exist for the caller."""

    def __init__(self, composer: JobComposer, stored: StoredJobs) -> None:
        self._composer = composer
        self._stored = stored
        self.visible_since = VisibleSince(composer, stored)

    @property
    def presets(self) -> PresetLibrary:
        """The presets that jobs can use."""
        return self._composer.presets

    def find(self, name: str, caller: Caller) -> StoredJob | None:
        """Return a stored job, also one that is not in force."""
        return find_stored_job(self._composer.sources, name, caller)

    def find_declared(self, name: str, caller: Caller) -> DeclaredJob | None:
        """Return the job as it was declared. A job that is in force comes before one that is not."""
        return _show_declared(find_declared_job(self._composer.sources, name, caller), caller)

    def list_declared(self, caller: Caller, *, limit: int, after: str = "") -> tuple[Iterator[DeclaredJob], str | None]:
        """Return a page by name, and the name after which the next page starts; None on the last page.

        The jobs are those of now, however late they are iterated.
        """
        sources = self._composer.sources
        declared = sources.index.jobs.keys() | sources.stored.keys()
        names = sorted(name for name in declared if is_declared_for(sources, name, caller))
        start = bisect_right(names, after)
        some = names[start : start + limit]
        jobs = (_show_declared(find_declared_job(sources, name, caller), caller) for name in some)
        return (job for job in jobs if job is not None), some[-1] if start + limit < len(names) else None

    def list_sets(self, caller: Caller, *, limit: int, after: str = "") -> SetList:
        """Return a page of the sets by owner, without jobs that do not exist for the caller."""
        sources = self._composer.sources
        entries = (job.entry for name, job in sources.stored.items() if find_stored_job(sources, name, caller))
        return summarize_sets(entries, sources.tree.head.generation, limit=limit, after=after)

    def set_etag(self) -> str:
        """Return the etag of all declared jobs, quoted."""
        sources = self._composer.sources
        return f'"{sources.tree.head.generation}-{sources.tree.head.digest}-{sources.files.digest or "none"}"'

    async def list_versions(self, name: str, caller: Caller) -> VersionList:
        """Return the retained versions, the latest first, also of a deleted job. Raises as `read_versions`."""
        versions = await self.read_versions(name, caller)
        return VersionList(versions=list(map(_view_version, versions)), retained=MAX_VERSIONS)

    async def get_version(self, name: str, number: int, caller: Caller) -> VersionModel:
        """Return a version. Raises UnknownJob, NotFound, StoreError."""
        return _view_version(await self.find_version(name, number, caller))

    async def read_versions(self, name: str, caller: Caller) -> Sequence[JobVersion]:
        """Return the rows of the retained versions, the latest first, also of a deleted job.

        Raises UnknownJob, StoreError; NotFound: a job file defines the job, and no job of that name was stored.
        """
        versions = await self._stored.list_versions(self._require_entry(name, caller))
        visible = select_visible_versions(versions, caller, self._composer.define)
        if not visible:
            raise unknown_job(self._composer.sources, name, caller)
        return [self._hide_copied(_show_version(version, caller), caller) for version in visible]

    async def find_version(self, name: str, number: int, caller: Caller) -> JobVersion:
        """Return the row of a version. Raises UnknownJob, NotFound, StoreError."""
        for version in await self.read_versions(name, caller):
            if version.number == number:
                return version
        raise NotFound(f"version {number} of the job {name} is not retained")

    async def compare_versions(self, name: str, number: int, against: int, caller: Caller) -> VersionDiff:
        """Return what changed from the version `against` to the version `number`. Raises as get_version."""
        after = await self.find_version(name, number, caller)
        before = await self.find_version(name, against, caller)
        changes = compare_definitions(self._normalize(before), self._normalize(after))
        return VersionDiff(number=number, against=against, fields=list(map(FieldChangeModel.from_object, changes)))

    def _normalize(self, version: JobVersion) -> Mapping[str, Any]:
        """Return the full form with its defaults, or the definition as written if it is not valid any more."""
        if version.definition is None:
            return {}
        located = self._composer.define(version.name, version.definition, version.number)
        return located.job.to_json() if isinstance(located, LocatedStoredJob) else version.definition

    def _hide_copied(self, version: JobVersion, caller: Caller) -> JobVersion:
        """Return the version, without the name of a copied job that does not exist for the caller."""
        copied = version.comment.removeprefix(COPY_OF)
        if copied == version.comment or is_declared_for(self._composer.sources, copied, caller):
            return version
        return replace(version, comment="")

    def _require_entry(self, name: str, caller: Caller) -> StoredEntry:
        sources = self._composer.sources
        entry = sources.tree.find(name)
        if entry is not None and (name not in sources.stored or self.find(name, caller) is not None):
            return entry
        if entry is None and (declared := self.find_declared(name, caller)) is not None:
            raise NotFound(f"the job {name} is defined in {declared.origin}: only stored jobs have versions")
        raise unknown_job(sources, name, caller)


def _show_declared(job: DeclaredJob | None, caller: Caller) -> DeclaredJob | None:
    return None if job is None else replace(job, definition=show_definition(job.definition, caller.principal))


def _view_version(version: JobVersion) -> VersionModel:
    return VersionModel.from_object(version, url=f"/api/jobs/{version.name}/versions/{version.number}")


def view_declared(job: DeclaredJob) -> DeclaredJobModel:
    """Return a job as it was declared, for a list."""
    return DeclaredJobModel.from_object(
        job,
        in_force=job.is_in_force,
        problems=list(map(view_problem, job.problems)),
        source=job.origin,
        url=f"/api/jobs/{job.name}",
    )


def view_problem(problem: Problem) -> DefinitionProblem:
    """Return what is wrong with a definition."""
    return DefinitionProblem(path=problem.key, message=problem.message, hint=problem.hint or None)


def _show_version(version: JobVersion, caller: Caller) -> JobVersion:
    if version.definition is None:
        return version
    return replace(version, definition=show_definition(version.definition, caller.principal))


def unknown_job(sources: JobSources, name: str, caller: Caller) -> UnknownJob:
    """Return the error for a name without a job. It suggests jobs that exist for the caller only."""
    used = sources.index.jobs.keys() | sources.stored.keys()
    others = sorted(other for other in used if other != name and is_declared_for(sources, other, caller))
    return UnknownJob(name, suggest_sorted_name(name, others))


def find_stored_job(sources: JobSources, name: str, caller: Caller) -> StoredJob | None:
    """Return the stored job if it exists for the caller."""
    job = sources.stored.get(name)
    if job is None:
        return None
    tags = {} if job.located is None else job.located.job.tags
    return job if caller.principal.sees(tags) else None


def find_declared_job(sources: JobSources, name: str, caller: Caller) -> DeclaredJob | None:
    """Return the job as it was declared, if it exists for the caller. See StoredJobQueries.find_declared."""
    of_file = sources.index.jobs.get(name)
    if of_file is not None:
        return _declare_file_job(of_file.job, of_file.origin) if caller.principal.sees(of_file.job.tags) else None
    stored = find_stored_job(sources, name, caller)
    return None if stored is None else _declare_stored_job(stored)


def select_visible_versions(versions: Sequence[JobVersion], caller: Caller, define: Define) -> Sequence[JobVersion]:
    """Return the versions that exist for the caller; none if the latest definition does not.

    A caller that is limited to tags sees the versions that had one of them, and the deletions of these.
    """
    if not caller.principal.tags:
        return versions
    visible: list[JobVersion] = []
    is_visible = False
    for version in reversed(versions):
        if version.definition is not None:
            located = define(version.name, version.definition, version.number)
            is_visible = isinstance(located, LocatedStoredJob) and caller.principal.sees(located.job.tags)
        if is_visible:
            visible.append(version)
    return visible[::-1] if is_visible else []


def is_declared_for(sources: JobSources, name: str, caller: Caller) -> bool:
    """Return whether the job of this name, which is that of a file or a stored one, exists for the caller."""
    if not caller.principal.tags:
        return True
    of_file = sources.index.jobs.get(name)
    if of_file is not None:
        return caller.principal.sees(of_file.job.tags)
    return find_stored_job(sources, name, caller) is not None


def compare_definitions(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[FieldChange]:
    """Yield each field that differs."""
    yield from _compare_values(before, after, ())


def _compare_values(before: Any, after: Any, path: tuple[str | int, ...]) -> Iterator[FieldChange]:
    if before == after and type(before) is type(after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys: Sequence[str] = [*before, *(key for key in after if key not in before)]
        for key in keys:
            yield from _compare_values(before.get(key, _ABSENT), after.get(key, _ABSENT), (*path, key))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            pair = [values[index] if index < len(values) else _ABSENT for values in (before, after)]
            yield from _compare_values(pair[0], pair[1], (*path, index))
    else:
        values = (None if value is _ABSENT else value for value in (before, after))
        yield FieldChange(dotted_path(*path), *values)


def _declare_file_job(job: JobDefinition, origin: str) -> DeclaredJob:
    definition = job.model_dump(mode="json", by_alias=True, exclude_unset=True)
    digest = hashlib.sha256(job.model_dump_json(by_alias=True).encode()).hexdigest()[:16]
    return DeclaredJob(job.name, origin, f'"file-{digest}"', definition)


def _declare_stored_job(stored: StoredJob) -> DeclaredJob:
    entry = stored.entry
    return DeclaredJob(
        name=entry.name,
        origin=f"stored, version {entry.number}",
        etag=f'"{entry.etag}"',
        definition=decode_json(entry.text),
        version=entry.number,
        owner=entry.owner,
        problems=(*stored.problems, *stored.unknown_names),
        is_in_force=stored.is_in_force,
    )
