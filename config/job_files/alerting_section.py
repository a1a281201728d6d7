"""Reads the sections `alerting` and `objectives` of one file, and joins those of all files.

`AlertingContext` is what the checks between the sections and the jobs judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from config.documents.document import Document
from jobs.alerting.rule import merge_severities
from jobs.definition.alerting_section import (
    NO_ALERTING,
    AlertingDefinitions,
    DefinedEntry,
    SectionPart,
    define_alerting,
)
from jobs.model_base import FILE_CONTEXT
from jobs.problems import (
    MAX_LISTED_PROBLEMS,
    Finding,
    KeyPath,
    Problem,
    describe_unknown_key,
    list_key_findings,
    validation_findings,
)
from jobs.problems.findings import did_you_mean, suggest_sorted_name

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob

ALERTING_KEY = "alerting"
OBJECTIVES_KEY = "objectives"


@dataclass(frozen=True, slots=True)
class AlertingEntry:
    """A valid entry of a part. `name`: empty in a list. `path`: in the file."""

    part: str
    name: str
    value: Any
    path: KeyPath


@dataclass(frozen=True, slots=True)
class InvalidEntry:
    """An entry with problems. References to it are not wrong. `name`: empty if no entry of the part can be read."""

    part: str
    name: str


@dataclass(frozen=True, slots=True)
class SectionEntries:
    entries: tuple[AlertingEntry, ...] = ()
    invalid: tuple[InvalidEntry, ...] = ()
    findings: tuple[Finding, ...] = ()

    def joined_with(self, other: SectionEntries) -> SectionEntries:
        """Return the entries and problems of both."""
        return SectionEntries(
            (*self.entries, *other.entries), (*self.invalid, *other.invalid), (*self.findings, *other.findings)
        )


def read_alerting(value: Any) -> SectionEntries:
    """Return the valid entries of the section, and everything that is wrong with the others."""
    if value is None:
        return SectionEntries()
    from jobs.definition.alerting_registry import PARTS_BY_KEY

    path: KeyPath = (ALERTING_KEY,)
    if not isinstance(value, dict):
        wrong = Finding(path, "is not a mapping of keys to values", f"its keys are {', '.join(PARTS_BY_KEY)}")
        return SectionEntries((), tuple(InvalidEntry(key, "") for key in PARTS_BY_KEY), (wrong,))
    known = tuple(PARTS_BY_KEY)
    unknown = [key for key in value if key not in PARTS_BY_KEY]
    findings = list(list_key_findings(unknown, lambda key: _unknown_key(key, known), path))
    entries: list[AlertingEntry] = []
    invalid: dict[InvalidEntry, None] = {}
    for key, part in PARTS_BY_KEY.items():
        for read in _read_part(part, value.get(key), (*path, key)):
            if isinstance(read, Finding):
                findings.append(read)
                invalid[InvalidEntry(key, str(read.path[2]) if len(read.path) > 2 and part.is_named else "")] = None
            else:
                entries.append(read)
    return SectionEntries(tuple(entries), tuple(invalid), _limit(findings, path))


def read_objectives(value: Any) -> SectionEntries:
    """Return the entries of the section `objectives`, the invalid ones, and what is wrong with them."""
    if value is None:
        return SectionEntries()
    from jobs.definition.job_alerts import OBJECTIVES_SECTION

    path: KeyPath = (OBJECTIVES_KEY,)
    read = list(_read_part(OBJECTIVES_SECTION, value, path))
    findings = [each for each in read if isinstance(each, Finding)]
    names = {str(each.path[1]) if len(each.path) > 1 else "" for each in findings}
    invalid = tuple(InvalidEntry(OBJECTIVES_KEY, name) for name in sorted(names))
    entries = tuple(each for each in read if isinstance(each, AlertingEntry))
    return SectionEntries(entries, invalid, _limit(findings, path))


def _limit(findings: Sequence[Finding], path: KeyPath) -> tuple[Finding, ...]:
    if len(findings) <= MAX_LISTED_PROBLEMS:
        return tuple(findings)
    more = f"has {len(findings) - MAX_LISTED_PROBLEMS} more problems, which are not listed"
    return (*findings[:MAX_LISTED_PROBLEMS], Finding(path, more))


def _unknown_key(key: str, keys: tuple[str, ...]) -> Finding:
    return Finding((ALERTING_KEY, key), *describe_unknown_key(key, keys))


def _read_part(part: SectionPart, value: Any, path: KeyPath) -> Iterator[AlertingEntry | Finding]:
    if value is None:
        return
    if not isinstance(value, dict if part.is_named else list):
        yield Finding(path, "is not a mapping of entries by name" if part.is_named else "is not a list of entries")
        return
    if len(value) > part.max_entries:
        yield Finding(path, f"has {len(value)} entries, expected at most {part.max_entries}", "split the file")
        return
    entries: Iterable[tuple[str | int, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
    for key, written in entries:
        if part.is_named and not re.fullmatch(part.name_pattern, str(key)):
            yield Finding((*path, key), "is not a valid name: it has a forbidden character, or is too long")
        else:
            yield from _read_entry(part, key, written, (*path, key))


def _read_entry(part: SectionPart, key: str | int, written: Any, path: KeyPath) -> Iterator[AlertingEntry | Finding]:
    try:
        value = part.adapter.validate_python({} if written is None else written, context=FILE_CONTEXT)
    except ValidationError as error:
        for found in validation_findings(error.errors(include_url=False), part.model):
            yield Finding((*path, *found.path), found.message, found.hint)
        return
    yield AlertingEntry(part.key, key if isinstance(key, str) else "", value, path)


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


@dataclass(frozen=True, slots=True)
class JoinedAlerting:
    """`own`: what these files define; the context has it with the definitions in force, if the files are some alone."""

    own: AlertingDefinitions
    context: AlertingContext
    problems: tuple[Problem, ...]


def join_alerting(
    entries: Iterable[LocatedEntry],
    jobs: Mapping[str, LocatedJob],
    *,
    broken: Iterable[str] = (),
    invalid: Iterable[InvalidEntry] = (),
    is_complete: bool = True,
    in_force: AlertingDefinitions | None = None,
    folder: str = "",
) -> JoinedAlerting:
    """Return the entries of all files by part, and those that contradict each other as problems.

    `folder`: of the files, empty if they are in no folder.
    `in_force`: what all files define, if these are some alone, whose entries replace those of the same name.
    """
    by_part: dict[str, list[LocatedEntry]] = {}
    first: dict[tuple[str, str], LocatedEntry] = {}
    problems: list[Problem] = []
    others = NO_ALERTING if in_force is None else in_force
    for entry in entries:
        part, name = entry.entry.part, entry.entry.name
        if name and (other := first.setdefault((part, name), entry)) is not entry:
            problems.append(entry.problem(f"{name} is declared twice: first in {other.origin}", "remove one of them"))
        elif part != "severities" or _fits(entry, by_part.get(part, []), others, problems):
            by_part.setdefault(part, []).append(entry)
    parts = {
        part: tuple(DefinedEntry(entry.entry.name, entry.entry.value, entry.origin, folder) for entry in located)
        for part, located in by_part.items()
    }
    own = define_alerting(parts)
    whole = own if in_force is None else in_force.overridden_by(own)
    context = AlertingContext(
        by_part, jobs, whole, frozenset(broken), frozenset(invalid), is_complete, in_force is not None
    )
    return JoinedAlerting(own, context, tuple(problems))


def _fits(
    located: LocatedEntry, others: Sequence[LocatedEntry], in_force: AlertingDefinitions, problems: list[Problem]
) -> bool:
    """Return whether a severity does not contradict the others; add a problem if it does."""
    own = {each.entry.name: each.entry.value for each in (*others, located)}
    merged = {**{each.name: each.value for each in in_force.entries_of("severities")}, **own}
    try:
        merge_severities(merged.items())
    except ValueError as error:
        problems.append(located.problem(str(error)))
        return False
    return True
