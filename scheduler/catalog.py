"""The jobs in force. Filled by scheduler.app from the configuration, read by ticker, worker, operations and queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from jobs.definition import JobDefinition
from jobs.schedules import Schedule


class UnknownJob(LookupError):
    """There is no job of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no job named {name!r}")
        self.name = name


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


class Catalog:
    """Jobs by name."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = {entry.job.name: entry for entry in entries}

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
            raise UnknownJob(name)
        return entry

    def names(self) -> list[str]:
        return sorted(self._entries)

    def schedules(self) -> Iterator[tuple[str, Schedule]]:
        """The schedules that are to be planned: those of enabled jobs."""
        for name, entry in self._entries.items():
            if entry.job.enabled and entry.job.schedule is not None:
                yield name, entry.job.schedule
