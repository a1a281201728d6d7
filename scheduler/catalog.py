"""The jobs in force. Filled by scheduler.app from the configuration, read by ticker, worker, operations and queries.

The set may be replaced while the program runs. Whoever reads once asks the `Catalog`; whoever reads several things that
belong together, or goes on after an `await`, takes its `view` once, and has one set to the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobs.graph import Graph
from jobs.problems.suggestions import did_you_mean, suggest_among

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from jobs.schedules import Schedule


class UnknownJob(LookupError):
    """There is no job of that name. `near`: the one that was probably meant."""

    def __init__(self, name: str, near: str | None = None) -> None:
        super().__init__(f"there is no job named {name!r}{did_you_mean(near)}")
        self.name = name
        self.near = near


@dataclass(slots=True)
class Entry:
    """A job and where it comes from, such as `config/jobs/checkout.yaml:12`."""

    job: JobDefinition
    origin: str
    _generation: str = field(default="", repr=False)

    @property
    def generation(self) -> str:
        """Worked out once it is asked for: most of 10,000 jobs are not due in the first minute."""
        if not self._generation:
            self._generation = self.job.generation()
        return self._generation

    def is_due(self, at: datetime) -> bool:
        """Whether the job's schedule has this instant, to the millisecond, and is planned at all."""
        from jobs.schedules import to_milliseconds

        schedule = self.job.schedule
        if schedule is None or not self.job.enabled:
            return False
        return schedule.next_after_ms(to_milliseconds(at) - 1) == to_milliseconds(at)


class _Generations(dict[str, str]):
    """The generations that were asked for, by job."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        super().__init__()
        self._entries = entries

    def __missing__(self, job: str) -> str:
        generation = self[job] = self._entries[job].generation
        return generation


class View:
    """Jobs by name: one set, which never changes."""

    def __init__(self, entries: Iterable[Entry], loaded_at: datetime | None = None, digest: str = "") -> None:
        """`loaded_at`: since when the set is in force; `digest`: what tells it from others."""
        self.loaded_at = loaded_at or datetime.now(UTC)
        self.digest = digest
        self._entries = {entry.job.name: entry for entry in entries}
        self.generations: Mapping[str, str] = _Generations(self._entries)
        """That of each job, for who makes thousands of tickets at once. Raises KeyError for a job that is not there."""
        self._names = sorted(self._entries)
        self.graph = Graph(entry.job for entry in self._entries.values())
        """Which of them depends on which."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def find(self, name: str) -> Entry | None:
        return self._entries.get(name)

    def get(self, name: str) -> Entry:
        """Raises UnknownJob."""
        entry = self._entries.get(name)
        if entry is None:
            raise UnknownJob(name, suggest_among(name, self._names))
        return entry

    def names(self) -> Sequence[str]:
        """All names in order."""
        return self._names

    def schedules(self) -> Iterator[tuple[str, Schedule]]:
        """The schedules that are to be planned: those of enabled jobs."""
        for name, entry in self._entries.items():
            if entry.job.enabled and entry.job.schedule is not None:
                yield name, entry.job.schedule

    def schedule(self, name: str) -> Schedule | None:
        """The job's schedule, if it is to be planned."""
        entry = self._entries.get(name)
        return entry.job.schedule if entry is not None and entry.job.enabled else None

    def new_schedules(self, before: View) -> dict[str, Schedule | None]:
        """Of each job that is to be planned otherwise than before: how; None: not any more.

        Entries that both views share cost next to nothing.
        """
        changed: dict[str, Schedule | None] = {}
        for name, entry in self._entries.items():
            if before.find(name) is not entry and before.schedule(name) != (schedule := self.schedule(name)):
                changed[name] = schedule
        for name in before.names():
            if name not in self._entries and before.schedule(name) is not None:
                changed[name] = None
        return changed


class Catalog:
    """The view in force, by way of one object that lasts as long as the program."""

    def __init__(self, jobs: Iterable[Entry] | View) -> None:
        self._view = jobs if isinstance(jobs, View) else View(jobs)

    @property
    def view(self) -> View:
        """All that is in force now, as one."""
        return self._view

    def replace(self, view: View) -> None:
        """From now on these jobs are in force, and no others. Runs that have begun end as they began."""
        self._view = view

    @property
    def graph(self) -> Graph:
        """See View.graph."""
        return self._view.graph

    @property
    def generations(self) -> Mapping[str, str]:
        """See View.generations."""
        return self._view.generations

    def __len__(self) -> int:
        return len(self._view)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._view)

    def __contains__(self, name: object) -> bool:
        return name in self._view

    def find(self, name: str) -> Entry | None:
        return self._view.find(name)

    def get(self, name: str) -> Entry:
        """Raises UnknownJob."""
        return self._view.get(name)

    def names(self) -> Sequence[str]:
        """All names in order."""
        return self._view.names()

    def schedules(self) -> Iterator[tuple[str, Schedule]]:
        """See View.schedules."""
        return self._view.schedules()
