"""Reads the sections `alerting` and `objectives` of one file. Called by config.job_files.entries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from jobs.definition.alerting_section import SectionPart
from jobs.model_base import FILE_CONTEXT
from jobs.problems import (
    MOST_LISTED_PROBLEMS,
    Finding,
    KeyPath,
    describe_unknown_key,
    list_key_findings,
    validation_findings,
)

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
    from jobs.definition.alerting_registry import PARTS_BY_KEY  # perf: loads the models of all parts

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
    """Return the same of the section `objectives`."""
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
    if len(findings) <= MOST_LISTED_PROBLEMS:
        return tuple(findings)
    more = f"has {len(findings) - MOST_LISTED_PROBLEMS} more problems, which are not listed"
    return (*findings[:MOST_LISTED_PROBLEMS], Finding(path, more))


def _unknown_key(key: str, known: tuple[str, ...]) -> Finding:
    return Finding((ALERTING_KEY, key), *describe_unknown_key(key, known))


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
