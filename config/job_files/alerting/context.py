"""What the checks between the sections `alerting` and the jobs judge. Made by config.job_files.alerting.joining and
config.stored_jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from config.documents.document import Document
from config.job_files.alerting.section import AlertingEntry, InvalidEntry
from jobs.definition.alerting_section import AlertingDefinitions
from jobs.problems import Finding, KeyPath, Problem
from jobs.problems.findings import did_you_mean, suggest_sorted_name

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob


@dataclass(frozen=True, slots=True)
class LocatedEntry:
    """An entry, and where it is. `document`: for line numbers, without its value."""

    entry: AlertingEntry
    document: Document

    @property
    def origin(self) -> str:
        return f"{self.document.file}:{self.document.entry_line_of(self.entry.path)}"

    def problem(self, message: str, hint: str = "", *keys: str | int) -> Problem:
        """Return a problem at a key inside the entry."""
        return self.problem_at(keys, message, hint)

    def problem_at(self, keys: KeyPath, message: str, hint: str) -> Problem:
        return self.document.problem(Finding((*self.entry.path, *keys), message, hint))


@dataclass(frozen=True)
class AlertingContext:
    """What the checks of the section judge.

    `entries`: those of the files that are checked, by part. `jobs`: by name. `definitions`: of all files. `broken`: the
    names of invalid jobs. `invalid`: entries that are invalid themselves.
    `is_complete`: false if a file cannot be read, so that what is missing may be in it.
    `is_partial`: some files alone are checked, or stored jobs: what selects nothing here can select jobs of others.
    """

    entries: Mapping[str, Sequence[LocatedEntry]]
    jobs: Mapping[str, LocatedJob]
    definitions: AlertingDefinitions
    broken: frozenset[str] = frozenset()
    invalid: frozenset[InvalidEntry] = frozenset()
    is_complete: bool = True
    is_partial: bool = False

    def entries_of(self, part: str) -> Sequence[LocatedEntry]:
        return self.entries.get(part, ())

    def find_missing(self, part: str, names: Iterable[str]) -> list[tuple[int, str]]:
        """Return the position and the name of each name that no entry of a part has, as far as that is known."""
        if not self.is_complete:
            return []
        known = self._names_by_part.get(part, frozenset())
        return [
            (position, name)
            for position, name in enumerate(names)
            if name not in known and not self.is_invalid(part, name)
        ]

    def is_invalid(self, part: str, name: str) -> bool:
        """Return whether an entry of this name exists, or may exist, that has problems."""
        return InvalidEntry(part, name) in self.invalid or InvalidEntry(part, "") in self.invalid

    def describe_missing(self, noun: str, part: str, name: str) -> tuple[str, str]:
        """Return message and hint for a name that no entry of a part has."""
        names = sorted(self._names_by_part.get(part, ()))
        message = f"there is no {noun} {name}{did_you_mean(suggest_sorted_name(name, names))}"
        return message, f"define it in alerting.{part} of a job file, or name another one"

    @cached_property
    def _names_by_part(self) -> Mapping[str, frozenset[str]]:
        parts = self.definitions.parts
        named = {part: frozenset(entry.name for entry in entries) for part, entries in parts.items()}
        return {**named, "severities": frozenset(self.definitions.severities)}

    @cached_property
    def group_names(self) -> frozenset[str]:
        return self._names_by_part.get("groups", frozenset())

    @cached_property
    def located_groups(self) -> frozenset[str]:
        """Return the groups of the files that are checked."""
        return frozenset(one.entry.name for one in self.entries_of("groups"))

    @cached_property
    def subject_names(self) -> Sequence[str]:
        """Return the names of all jobs and groups, sorted."""
        return sorted({*self.jobs, *self.group_names})

    @cached_property
    def parents(self) -> Mapping[str, Sequence[str]]:
        """Return the parents of each job, and the members of each group that is one: a group is down through them."""
        named = {parent for one in self.jobs.values() for parent in one.job.alert_parent}
        groups = {name: group for name, group in self.definitions.groups.items() if name in named}
        members = {
            name: tuple(
                one.job.name
                for one in self.jobs.values()
                if group.jobs.selects(one.job.name, one.job.tags, str(one.job.check.kind))
            )
            for name, group in groups.items()
            if name not in self.jobs
        }
        return {**{name: one.job.parents for name, one in self.jobs.items()}, **members}

    @cached_property
    def has_alert_parents(self) -> bool:
        return any(one.job.alert_parent for one in self.jobs.values())
