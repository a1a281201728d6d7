"""Joins the sections `alerting` of all files, and checks them with the jobs. Called by config.job_files.joining."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.documents.document import Document
from config.job_files.alerting.section import AlertingEntry
from jobs.alerting.severities import merge_severities
from jobs.definition.alerting.definitions import AlertingDefinitions, DefinedEntry, define_alerting
from jobs.problems import Finding, Problem

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob


@dataclass(frozen=True, slots=True)
class LocatedEntry:
    """An entry, and where it is. `document`: for line numbers, without its value."""

    entry: AlertingEntry
    document: Document

    @property
    def origin(self) -> str:
        return f"{self.document.file}:{self.document.line_of(self.entry.path)}"

    def problem(self, message: str, hint: str = "", *keys: str | int) -> Problem:
        """Return a problem at a key inside the entry."""
        return self.document.problem(Finding((*self.entry.path, *keys), message, hint))


@dataclass(frozen=True, slots=True)
class AlertingContext:
    """What the checks of the section judge. `jobs`: by name. `broken`: the names of invalid jobs.

    `is_complete`: false if a file cannot be read, so that what is missing may be in it.
    """

    entries: Mapping[str, Sequence[LocatedEntry]]
    jobs: Mapping[str, LocatedJob]
    definitions: AlertingDefinitions
    broken: frozenset[str] = frozenset()
    is_complete: bool = True

    def entries_of(self, part: str) -> Sequence[LocatedEntry]:
        return self.entries.get(part, ())


@dataclass(frozen=True, slots=True)
class JoinedAlerting:
    context: AlertingContext
    problems: tuple[Problem, ...]


def join_alerting(
    entries: Iterable[LocatedEntry], jobs: Mapping[str, LocatedJob], broken: Iterable[str], *, is_complete: bool
) -> JoinedAlerting:
    """Return the entries of all files by part, and those that contradict each other as problems."""
    by_part: dict[str, list[LocatedEntry]] = {}
    first: dict[tuple[str, str], LocatedEntry] = {}
    problems: list[Problem] = []
    for one in entries:
        part, name = one.entry.part, one.entry.name
        if name and (other := first.setdefault((part, name), one)) is not one:
            problems.append(one.problem(f"{name} is declared twice: first in {other.origin}", "remove one of them"))
        elif part != "severities" or _fits(one, by_part.get(part, []), problems):
            by_part.setdefault(part, []).append(one)
    parts = {
        part: tuple(DefinedEntry(one.entry.name, one.entry.value, one.origin) for one in located)
        for part, located in by_part.items()
    }
    context = AlertingContext(by_part, jobs, define_alerting(parts), frozenset(broken), is_complete)
    return JoinedAlerting(context, tuple(problems))


def _fits(one: LocatedEntry, others: Sequence[LocatedEntry], problems: list[Problem]) -> bool:
    """Return whether a severity does not contradict the others; add a problem if it does."""
    try:
        merge_severities((each.entry.name, each.entry.value) for each in (*others, one))
    except ValueError as error:
        problems.append(one.problem(str(error)))
        return False
    return True
