"""The jobs in force. Built by scheduler.app from the configuration, read by ticker, worker, operations and queries.

A reload replaces the set. For one read, use the `Catalog`. For several reads that must agree, or across an `await`,
use its `view`: that set never changes.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from jobs.definition.alerting_section import NO_ALERTING, AlertingDefinitions
from jobs.definition.dependencies import DependencyGraph
from jobs.problems.findings import did_you_mean, suggest_sorted_name

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from jobs.schedules import Schedule


STORED_ORIGIN = "stored, version "
"""How the origin of a stored job begins; see config.stored_jobs.LocatedStoredJob."""


class Query:
    """Base class of what reads for callers.

    A caller that is limited to tags gets a copy with its own catalog, whose repositories read no past of other tags,
    see scheduler.catalog.limited.
    """

    HIDES_ITSELF: ClassVar[tuple[type, ...]] = ()
    """Repositories whose past the query hides itself."""


class Operation:
    """Base class of what changes something for callers. A caller that is limited to tags gets a copy with its own
    catalog.
    """


class UnknownJob(LookupError):
    """There is no job of that name. `near`: a similar name, or None."""

    def __init__(self, name: str, near: str | None = None) -> None:
        super().__init__(f"there is no job named {name!r}{did_you_mean(near)}")
        self.name = name
        self.suggestion = near


@dataclass(slots=True)
class CatalogJob:
    """A job and the place of its definition, such as `config/jobs/checkout.yaml:12`."""

    job: JobDefinition
    origin: str
    group_source: str = ""
    """The file or set to which its concurrency group is private, see scheduler.catalog.composition."""
    _generation: str = field(default="", repr=False)
    _host: str = field(default="", repr=False, compare=False)

    @property
    def is_stored(self) -> bool:
        """Return whether the job is stored, and not of a file."""
        return self.origin.startswith(STORED_ORIGIN)

    @property
    def generation(self) -> str:
        """The generation, computed on first use: most of 10,000 jobs are not due in the first minute."""
        if not self._generation:
            self._generation = self.job.generation()
        return self._generation

    @property
    def host(self) -> str:
        """The host of the check's endpoint with its port, computed on first use."""
        if not self._host:
            from jobs.checks.clock import host_and_endpoint

            self._host = host_and_endpoint(self.job.check.endpoint)[1]
        return self._host

    def is_due(self, at: datetime) -> bool:
        """Return whether the job is enabled and its schedule has this instant, to the millisecond."""
        from jobs.schedules import to_milliseconds

        schedule = self.job.schedule
        if schedule is None or not self.job.enabled:
            return False
        return schedule.next_after_ms(to_milliseconds(at) - 1) == to_milliseconds(at)


class _LazyGenerations(dict[str, str]):
    """The generations computed so far, by job."""

    def __init__(self, entries: Mapping[str, CatalogJob]) -> None:
        super().__init__()
        self._entries = entries

    def __missing__(self, job: str) -> str:
        generation = self[job] = self._entries[job].generation
        return generation


class JobSnapshot:
    """An immutable set of jobs, by name."""

    def __init__(
        self,
        entries: Iterable[CatalogJob],
        loaded_at: datetime | None = None,
        digest: str = "",
        alerting: AlertingDefinitions = NO_ALERTING,
    ) -> None:
        """`loaded_at`: when the set came into force; `digest`: identifies its content.

        `alerting`: what the section `alerting` of the job files defines.
        """
        self.alerting = alerting
        self.loaded_at = loaded_at or datetime.now(UTC)
        self.digest = digest
        self.entries: Mapping[str, CatalogJob] = {entry.job.name: entry for entry in entries}
        self.generations: Mapping[str, str] = _LazyGenerations(self.entries)
        """Generations by job, for code that creates thousands of tickets. Raises KeyError for an unknown job."""
        self._names = sorted(self.entries)
        self.graph = DependencyGraph(entry.job for entry in self.entries.values())
        """The dependencies between the jobs."""
        self._compared: tuple[weakref.ref[JobSnapshot] | None, Mapping[str, Schedule | None]] = None, {}

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[CatalogJob]:
        return iter(self.entries.values())

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def find_job(self, name: str) -> CatalogJob | None:
        return self.entries.get(name)

    def get_job(self, name: str) -> CatalogJob:
        """Return the job. Raises UnknownJob."""
        entry = self.entries.get(name)
        if entry is None:
            raise UnknownJob(name, suggest_sorted_name(name, self._names))
        return entry

    def names(self) -> Sequence[str]:
        """Return all names, sorted."""
        return self._names

    def schedules(self) -> Iterator[tuple[str, Schedule]]:
        """Yield the schedules that are planned: those of enabled jobs."""
        for name, entry in self.entries.items():
            if entry.job.enabled and entry.job.schedule is not None:
                yield name, entry.job.schedule

    def schedule(self, name: str) -> Schedule | None:
        """Return the job's schedule if the job is enabled, else None."""
        entry = self.entries.get(name)
        return entry.job.schedule if entry is not None and entry.job.enabled else None

    def changed_schedules(self, previous: JobSnapshot) -> Mapping[str, Schedule | None]:
        """Return the schedules that differ from those of `previous`, by job; None: the job is not planned any more.

        Entries that both sets share cost almost nothing. The result for one other set is cached.
        """
        known, cached = self._compared
        if known is None or known() is not previous:
            cached = self._compare_schedules(previous)
            self._compared = weakref.ref(previous), cached
        return cached

    def _compare_schedules(self, previous: JobSnapshot) -> Mapping[str, Schedule | None]:
        changed: dict[str, Schedule | None] = {}
        for name, entry in self.entries.items():
            if previous.find_job(name) is not entry and previous.schedule(name) != (schedule := self.schedule(name)):
                changed[name] = schedule
        for name in previous.names():
            if name not in self.entries and previous.schedule(name) is not None:
                changed[name] = None
        return changed


class Catalog:
    """The set in force, in an object that lives as long as the program."""

    def __init__(self, jobs: Iterable[CatalogJob] | JobSnapshot) -> None:
        self._snapshot = jobs if isinstance(jobs, JobSnapshot) else JobSnapshot(jobs)

    @property
    def snapshot(self) -> JobSnapshot:
        """The set that is in force now."""
        return self._snapshot

    def replace(self, snapshot: JobSnapshot) -> None:
        """Put this set in force. Runs in progress finish with their old definitions."""
        self._snapshot = snapshot

    @property
    def graph(self) -> DependencyGraph:
        return self._snapshot.graph

    @property
    def generations(self) -> Mapping[str, str]:
        return self._snapshot.generations

    def __len__(self) -> int:
        return len(self._snapshot)

    def __iter__(self) -> Iterator[CatalogJob]:
        return iter(self._snapshot)

    def __contains__(self, name: object) -> bool:
        return name in self._snapshot

    def find_job(self, name: str) -> CatalogJob | None:
        return self._snapshot.entries.get(name)

    def get_job(self, name: str) -> CatalogJob:
        """Return the job. Raises UnknownJob."""
        return self._snapshot.get_job(name)

    def is_visible(self, job: str | None, at: datetime | None = None) -> bool:
        """Return whether what is stored of a job may be shown, also of one that was deleted. `at`: what happened then.

        The catalog of a caller that is limited to tags shows its own jobs only, see scheduler.catalog.limited.
        """
        return True

    def begin_of(self, job: str) -> datetime | None:
        """Return the instant from which what is stored of a job may be shown; None: all of it."""
        return None

    def has_hidden_past(self, job: str) -> bool:
        """Return whether a stored job had tags before that the caller does not see."""
        return False

    def hides(self, name: str) -> bool:
        """Return whether a job of this name exists that is not in this catalog."""
        return False

    def sees(self, tags: Mapping[str, str]) -> bool:
        """Return whether a job with these tags would be in this catalog, as far as a limit to tags decides it."""
        return True

    def shares_circuit(self, key: str) -> bool:
        """Return whether a circuit belongs to jobs outside of this catalog as well."""
        return False

    def names(self) -> Sequence[str]:
        """Return all names, sorted."""
        return self._snapshot.names()

    def schedules(self) -> Iterator[tuple[str, Schedule]]:
        return self._snapshot.schedules()
