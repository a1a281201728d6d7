"""The jobs in force. Filled by scheduler.app from the configuration, read by ticker, worker, operations and queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jobs.definition import JobDefinition
from jobs.graph import Graph
from jobs.problems.suggestions import did_you_mean, suggest_among
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


class _Generations(dict[str, str]):
    """The generations that were asked for, by job."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        super().__init__()
        self._entries = entries

    def __missing__(self, job: str) -> str:
        generation = self[job] = self._entries[job].generation
        return generation


class Catalog:
    """Jobs by name."""

    def __init__(self, entries: Iterable[Entry]) -> None:
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
