"""Finds the jobs in one file's value, and turns each into a definition or into findings.

A file holds `jobs:` (a mapping by name, or a list), or the jobs themselves at its top; each job in the full or in the
flat form (see jobs.flat). `defaults:` next to `jobs:` applies to every job in the full form; `groups:` defines the
members of groups; `alerting:` defines alerts of several jobs, and `objectives:` objectives of several jobs.

Jobs share equal parts, as most of ten thousand have the same few policies: a validated part is reused for an equal
one, which saves the memory of copies, and the time of their validation. One pool of parts serves each reading of job
files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from config.job_files.alerting_section import (
    ALERTING_KEY,
    OBJECTIVES_KEY,
    SectionEntries,
    read_alerting,
    read_objectives,
)
from config.job_files.app_settings import resolve_schedules
from config.job_files.job_set import GROUPS_KEY, read_groups
from jobs.definition import JobDefinition
from jobs.flat import is_flat_job, is_flat_key
from jobs.model_base import FILE_CONTEXT
from jobs.policies.groups import GroupMembers
from jobs.problems import Finding, KeyPath, describe_unknown_key, list_key_findings, validation_findings
from jobs.problems.corrections import correct_job_key
from jobs.problems.findings import fold_name

_JOB_PARTS = ("schedule", "timeout", "retry", "circuit", "alerts")
_CHECK_PARTS = ("auth", "tls")


class PartInterner:
    """Validated parts by what was written for them."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, str], Any] = {}

    def reuse(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Return the definition with known parts replaced by their validated objects."""
        filled = self._reuse_parts(definition, _JOB_PARTS)
        if isinstance(check := filled.get("check"), dict):
            filled["check"] = self._reuse_parts(check, _CHECK_PARTS)
        if isinstance(expect := filled.get("expect"), list):
            filled["expect"] = [self._parts.get(("expect", repr(one)), one) for one in expect]
        return filled

    def remember(self, written: Mapping[str, Any], definition: JobDefinition) -> None:
        """Keep the parts of a definition that came out of `written`."""
        self._remember_parts(written, definition, _JOB_PARTS)
        if isinstance(check := written.get("check"), dict):
            self._remember_parts(check, definition.check, _CHECK_PARTS)
        for raw, one in zip(written.get("expect") or (), definition.expect, strict=True):
            self._parts.setdefault(("expect", repr(raw)), one)

    def _reuse_parts(self, written: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
        filled = dict(written)
        for name in names:
            if (raw := filled.get(name)) is not None:
                filled[name] = self._parts.get(_part_key(name, raw, written), raw)
        return filled

    def _remember_parts(self, written: Mapping[str, Any], model: Any, names: tuple[str, ...]) -> None:
        for name in names:
            if (raw := written.get(name)) is not None:
                self._parts.setdefault(_part_key(name, raw, written), getattr(model, name))


def _part_key(name: str, raw: Any, written: Mapping[str, Any]) -> tuple[str, str]:
    if name == "timeout" and isinstance(check := written.get("check"), dict):
        # Its defaults depend on the check's kind.
        return f"timeout of {check.get('kind')!r}", repr(raw)
    return name, repr(raw)


def validate_job(written: Mapping[str, Any], interner: PartInterner) -> JobDefinition | tuple[Finding, ...]:
    try:
        definition = JobDefinition.model_validate(interner.reuse(written), context=FILE_CONTEXT)
    except ValidationError as error:
        return validation_findings(error.errors(include_url=False), JobDefinition)
    interner.remember(written, definition)
    return definition


_TOP_LEVEL_KEYS = ("jobs", "defaults", GROUPS_KEY, ALERTING_KEY, OBJECTIVES_KEY)
_JOB_KEYS = frozenset(JobDefinition.model_fields) - {"check"}
_SECTION_KEYS = ("defaults", GROUPS_KEY, ALERTING_KEY, OBJECTIVES_KEY, "$schema")
_JOBS_KEYS_OF_OTHER_PROGRAMS = frozenset(
    {"endpoints", "monitors", "checks", "targets", "services", "tests", "healthchecks", "tasks"}
)
"""Names of the jobs' key in other programs."""


@dataclass(frozen=True, slots=True)
class JobEntry:
    """One job of a file, not validated."""

    name: str | None
    """Its key; None in a list."""
    value: Any
    path: KeyPath


@dataclass(frozen=True, slots=True)
class FileEntries:
    jobs: tuple[JobEntry, ...] = ()
    defaults: Mapping[str, Any] | None = None
    groups: Mapping[str, GroupMembers] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    alerting: SectionEntries = field(default_factory=SectionEntries)


def find_entries(value: Any, stem: str) -> FileEntries:
    """Find the jobs of a file.

    `stem`, the file's name without its suffix, names a single flat job without a JobName.
    """
    if value is None:
        return FileEntries(
            findings=(Finding((), "is empty", "write jobs: with the jobs below it, or remove the file"),)
        )
    if isinstance(value, list) or _is_one_flat_job(value) or _is_one_named_job(value):
        return FileEntries(tuple(_entries_in(value, (), stem)))
    if not isinstance(value, dict):
        return FileEntries(
            findings=(Finding((), "has a single value instead of jobs", "write jobs: with the jobs below it"),)
        )
    containers = [key for key in value if key.lower() == "jobs" and not _is_job(value[key])]
    return _read_containers(value, containers, stem) if containers else _read_top_level(value)


def _read_containers(value: dict[str, Any], containers: list[str], stem: str) -> FileEntries:
    findings = [*list_key_findings([key for key in value if key not in (*containers, *_SECTION_KEYS)], _unknown_key)]
    jobs: list[JobEntry] = []
    for key in containers:
        held = value[key]
        if isinstance(held, (dict, list)):
            jobs += _entries_in(held, (key,), stem)
        elif held is not None:
            findings.append(Finding((key,), "is neither a mapping of jobs by name nor a list of jobs"))
    return _add_sections(value, jobs, findings)


def _add_sections(value: Mapping[str, Any], jobs: Sequence[JobEntry], findings: Iterable[Finding]) -> FileEntries:
    """Add the sections next to the jobs."""
    defaults, wrong = _read_defaults(value)
    jobs_at_top = {entry.path[0] for entry in jobs if len(entry.path) == 1}
    groups, wrong_groups = read_groups(None if GROUPS_KEY in jobs_at_top else value.get(GROUPS_KEY))
    alerting = read_alerting(None if ALERTING_KEY in jobs_at_top else value.get(ALERTING_KEY))
    objectives = read_objectives(None if OBJECTIVES_KEY in jobs_at_top else value.get(OBJECTIVES_KEY))
    alerting = alerting.joined_with(objectives)
    found = (*findings, *wrong, *wrong_groups, *alerting.findings)
    return FileEntries(tuple(jobs), defaults, groups, found, alerting)


def _read_top_level(value: dict[str, Any]) -> FileEntries:
    """Read jobs without `jobs:` around them. Another value there is an unknown key, not an invalid job."""
    jobs: list[JobEntry] = []
    others: list[str] = []
    some_are_jobs = any(_is_job(one) for one in value.values())
    for key, one in value.items():
        if _is_job(one) or (some_are_jobs and isinstance(one, dict) and key not in _SECTION_KEYS):
            jobs.append(JobEntry(key, one, (key,)))
        elif key not in _SECTION_KEYS:
            others.append(key)
    if "check" in value and _JOB_KEYS.intersection(others):
        return FileEntries(findings=(Finding((), "is a job without a name", "add its name"),))
    return _add_sections(value, jobs, list_key_findings(others, _unknown_key))


def _entries_in(held: Any, path: KeyPath, stem: str) -> Iterator[JobEntry]:
    if isinstance(held, list):
        for index, written in enumerate(held):
            yield JobEntry(None, written, (*path, index))
    elif _is_one_named_job(held):
        yield JobEntry(None, held, path)
    elif _is_one_flat_job(held):
        yield JobEntry(stem, held, path)
    else:
        for key, written in held.items():
            yield JobEntry(key, written, (*path, key))


def _is_job(value: Any) -> bool:
    return isinstance(value, dict) and (is_flat_job(value) or _has_check(value))


def _has_check(value: dict[str, Any]) -> bool:
    """Return whether `check` or `preset` is a key of this job, not a job of that name."""
    check = value.get("check")
    if isinstance(value.get("preset"), str):
        return True
    return "check" in value and not (isinstance(check, dict) and "check" in check)


def _is_one_named_job(value: Any) -> bool:
    """Return whether it is one job of the full form with its name, not jobs named `name` and `check`."""
    return isinstance(value, dict) and isinstance(value.get("name"), str) and _has_check(value)


def _is_one_flat_job(value: Any) -> bool:
    """A key of the flat form can have a value that looks like a job: the body of a request, such as {"query": ...}."""
    if not isinstance(value, dict) or not is_flat_job(value):
        return False
    return not any(_is_job(one) for key, one in value.items() if not is_flat_key(key))


def _unknown_key(key: str) -> Finding:
    if fold_name(key) in _JOBS_KEYS_OF_OTHER_PROGRAMS:
        return Finding((key,), "unknown key", "write jobs: in its place, and a check in each job")
    return Finding((key,), *describe_unknown_key(key, _TOP_LEVEL_KEYS))


def _unknown_default(key: str, value: Any, keys: list[str]) -> Finding:
    offer = correct_job_key(key, value)
    return Finding(
        ("defaults", key), *(describe_unknown_key(key, keys) if offer is None else ("unknown key", f"write {offer}"))
    )


def _read_defaults(value: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, tuple[Finding, ...]]:
    defaults = value.get("defaults")
    if defaults is None:
        return None, ()
    if not isinstance(defaults, dict):
        return None, (Finding(("defaults",), "is not a mapping of keys to values"),)
    known = [key for key in JobDefinition.model_fields if key not in ("name", "preset")]
    others = [key for key in defaults if key not in known]
    wrong = list_key_findings(others, lambda key: _unknown_default(key, defaults[key], known), ("defaults",))
    valid = {key: one for key, one in defaults.items() if key in known}
    return valid, (*wrong, *_check_defaults(valid))


def _check_defaults(defaults: Mapping[str, Any]) -> Iterator[Finding]:
    """Find problems of defaults even if every job overrides them."""
    # Without app settings, the schedule is a valid stand-in: what is wrong with them is found in the jobs.
    written = resolve_schedules({"name": "defaults", "check": {}, **defaults}, {}, flat=False).job
    definition = validate_job(written, PartInterner())
    for finding in definition if isinstance(definition, tuple) else ():
        if finding.message != "is missing":
            yield Finding(("defaults", *finding.path), finding.message, finding.hint)


def find_job_name(entry: JobEntry) -> tuple[str, ...]:
    """Return the name of a job with an invalid definition, if it has one: others can depend on it."""
    given = entry.value if isinstance(entry.value, dict) else {}
    written = next((value for key, value in given.items() if fold_name(key) in ("name", "jobname")), entry.name)
    return (written,) if isinstance(written, str) else ()
