"""Builds the jobs in force from the job files and the stored jobs. Created by scheduler.app.program.

The only place that replaces the set of the catalog: for changed files (scheduler.catalog.reloading), and for changed
stored jobs (scheduler.catalog.stored_jobs, and the operations of this process).

A concurrency group that no job file declares is private to the file or set that names it. A group that one source alone
names keeps its name in the store, so that its slots stay valid when the program is updated.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from config.job_files.job_set import make_digest
from config.stored_jobs import FileJobIndex, LocatedStoredJob, StoredJobDefiner
from jobs.definition import JobDefinition
from jobs.ports import Clock
from jobs.problems import Problem
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.stores.rows import decode_json
from scheduler.stores.stored_jobs.tree import JobTree, StoredEntry
from scheduler.turns import release_later

if TYPE_CHECKING:
    from config.job_files.reader import JobSet
    from config.presets.library import PresetLibrary
    from jobs.targets import Target

PrivateGroups = Mapping[str, str]
"""The source that the group of a job is private to, by the name of the job."""


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


_MAX_NAMED = 5
"""Maximum number of jobs that a message names."""
_RELEASE_DELAY = 10.0
"""Seconds from the replacement of a set until its jobs are freed: runs and requests may still use them."""
_NONE: Mapping[str, StoredJob] = {}


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A stored job. `located` None: its definition is invalid. `problems`: why it is not in force. `unknown_names`:
    channels, severities and parents of its alerts that do not exist; it is in force nevertheless.
    """

    entry: StoredEntry
    located: LocatedStoredJob | None
    problems: tuple[Problem, ...] = ()
    unknown_names: tuple[Problem, ...] = ()

    @property
    def is_in_force(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class JobSources:
    """All sources of a set of jobs. In force are the jobs of the files and the accepted stored jobs. Immutable."""

    files: JobSet
    index: FileJobIndex
    tree: JobTree = field(default_factory=JobTree)
    stored: Mapping[str, StoredJob] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return self.files.digest if not self.stored else make_digest([self.files.digest, self.tree.head.digest])


@dataclass(frozen=True, slots=True)
class SetChange:
    """Names of the jobs that a new set adds, changes and removes."""

    before: JobSnapshot
    added: Sequence[str] = ()
    changed: Sequence[str] = ()
    removed: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def __str__(self) -> str:
        parts = [("added", self.added), ("changed", self.changed), ("removed", self.removed)]
        changes = [f"{len(names)} {word}: {_join_names(names)}" for word, names in parts if names]
        return ", ".join(changes) or "no job changed"


class JobComposer:
    """Owns the sources of the jobs in force, and replaces the set of the catalog when a source changes."""

    def __init__(self, catalog: Catalog, files: JobSet, clock: Clock, definer: StoredJobDefiner) -> None:
        """`catalog`: contains the jobs of `files`."""
        self._catalog = catalog
        self._clock = clock
        self._definer = definer
        definer.presets = files.presets
        self._lock = asyncio.Lock()
        self.sources = JobSources(files, FileJobIndex(files))
        self.latest_change = SetChange(catalog.snapshot)
        self.prepare: Callable[[Iterable[Target]], None] = lambda targets: None
        """Loads what the checks of these targets need, in a thread, before they are in force."""
        self.check_jobs: Callable[[Iterable[JobDefinition]], None] = lambda jobs: None
        """Called with the jobs that are new or changed, in a thread, before they are in force."""
        self.listeners: list[Callable[[JobSnapshot], None]] = []
        """Called with the previous set after each change, on the event loop."""

    @property
    def count(self) -> int:
        """Number of jobs in force."""
        return len(self._catalog)

    @property
    def presets(self) -> PresetLibrary:
        """The presets that jobs can use."""
        return self.sources.files.presets

    @property
    def snapshot(self) -> JobSnapshot:
        """The set in force."""
        return self._catalog.snapshot

    async def replace_files(self, files: JobSet) -> SetChange:
        """Put the jobs of other files in force."""
        async with self._lock:
            index = await asyncio.to_thread(FileJobIndex, files)
            sources = self.sources
            return await self._compose(files, index, sources.tree)

    async def replace_tree(self, tree: JobTree, tried: JobSources | None = None) -> SetChange:
        """Put the stored jobs of this tree in force, unless it is not newer than the current one.

        `tried`: the result of `try_out` for the same jobs, whose definitions are not validated again.
        """
        async with self._lock:
            sources = self.sources
            if tree.head.generation <= sources.tree.head.generation:
                return SetChange(self._catalog.snapshot)
            return await self._compose(sources.files, sources.index, tree, {} if tried is None else tried.stored)

    def define(self, name: str, definition: object, version: int) -> LocatedStoredJob | tuple[Problem, ...]:
        """Return the job of one definition, or everything that is wrong with it."""
        return self._definer.define(name, definition, version)

    def try_out(self, tree: JobTree) -> JobSources:
        """Return what `replace_tree` would put in force. For a thread."""
        sources = self.sources
        return self._read_sources(sources.files, sources.index, tree, sources.stored)

    async def _compose(
        self, files: JobSet, index: FileJobIndex, tree: JobTree, tried: Mapping[str, StoredJob] = _NONE
    ) -> SetChange:
        before, previous, now = self._catalog.snapshot, {**self.sources.stored, **tried}, self._clock.now()
        if files.presets.digest != self.sources.files.presets.digest:
            self._definer.presets = files.presets
            previous = {name: job for name, job in previous.items() if '"preset"' not in job.entry.text}

        def build() -> tuple[JobSources, JobSnapshot, SetChange]:
            sources = self._read_sources(files, index, tree, previous)
            snapshot = build_snapshot(files, now, before, sources)
            change = _compare(before, snapshot)
            snapshot.changed_schedules(before)  # cached for the next tick, which needs it on the event loop
            new = [snapshot.get_job(name).job for name in (*change.added, *change.changed)]
            if new:
                self.prepare([job.check for job in new])
                self.check_jobs(new)
            return sources, snapshot, change

        # In a thread, because thousands of definitions take long, and runs must start in time meanwhile.
        sources, snapshot, change = await asyncio.to_thread(build)
        release_later([*self.sources.stored.values(), *before], _RELEASE_DELAY)
        self.sources = sources
        self._catalog.replace(snapshot)
        self.latest_change = change
        for listener in self.listeners:
            listener(before)
        return change

    def _read_sources(
        self, files: JobSet, index: FileJobIndex, tree: JobTree, previous: Mapping[str, StoredJob]
    ) -> JobSources:
        located: dict[str, LocatedStoredJob] = {}
        problems: dict[str, tuple[Problem, ...]] = {}
        entries = {entry.name: entry for entry in sorted(tree.jobs(), key=lambda entry: entry.name)}
        for name, entry in entries.items():
            defined = self._define(entry, previous.get(name))
            if isinstance(defined, LocatedStoredJob):
                located[name] = defined
            else:
                problems[name] = defined
        problems |= index.find_rejected(located) if located else {}
        unknown = index.find_unknown_names(located, problems)
        stored = {
            name: _reuse(
                previous.get(name), StoredJob(entry, located.get(name), problems.get(name, ()), unknown.get(name, ()))
            )
            for name, entry in entries.items()
        }
        return JobSources(files, index, tree, stored)

    def _define(self, entry: StoredEntry, previous: StoredJob | None) -> LocatedStoredJob | tuple[Problem, ...]:
        """Return the job of an entry, or its problems. An unchanged definition is not validated again."""
        if previous is not None and (previous.entry.number, previous.entry.text) == (entry.number, entry.text):
            if previous.located is not None:
                return previous.located
            if previous.problems:
                return previous.problems
        return self._definer.define(entry.name, decode_json(entry.text), entry.number)


def _reuse(previous: StoredJob | None, new: StoredJob) -> StoredJob:
    """Return the previous object if it is equal, so that what was computed from it stays cached."""
    return previous if previous is not None and previous == new else new


def build_snapshot(
    files: JobSet, now: datetime, previous: JobSnapshot | None = None, sources: JobSources | None = None
) -> JobSnapshot:
    """Build the set. Entries that have not changed are reused, with what was computed from them.

    A stored job that is not in force has no entry; `sources` has the reason.
    """
    stored = [] if sources is None else [job for job in sources.stored.values() if job.is_in_force]
    sourced = [(job, files.origins[job.name], source_of_file_job(files.origins[job.name])) for job in files]
    sourced += [
        (job.located.job, job.located.origin, source_of_stored_job(job.entry.owner))
        for job in stored
        if job.located is not None
    ]
    declared = {group.name for group in files.groups}
    private = find_private_groups(((job, source) for job, _, source in sourced), declared)

    def entries() -> Iterable[CatalogJob]:
        for job, origin, _ in sourced:
            yield _reuse_entry(job, origin, private.get(job.name, ""), previous)

    return JobSnapshot(entries(), now, files.digest if sources is None else sources.digest, files.alerting)


def _reuse_entry(job: JobDefinition, origin: str, group_source: str, previous: JobSnapshot | None) -> CatalogJob:
    known = previous.find_job(job.name) if previous is not None else None
    is_same = known is not None and (known.origin, known.group_source) == (origin, group_source)
    if known is not None and is_same and (known.job is job or known.job == job):
        return known
    return CatalogJob(job, origin, group_source)


def _compare(before: JobSnapshot, after: JobSnapshot) -> SetChange:
    names = after.names()
    added = [name for name in names if name not in before]
    changed = [
        name
        for name in names
        if (known := before.find_job(name)) is not None
        and known is not (entry := after.get_job(name))
        and known.job != entry.job
    ]
    return SetChange(before, added, changed, [name for name in before.names() if name not in after])


def _join_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more
