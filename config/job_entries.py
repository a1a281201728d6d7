"""Finds the jobs in one file's value, and turns each into a definition or into findings. Called by config.job_files.

A file holds `jobs:` (a mapping by name, or a list), or the jobs themselves at its top; each job in the full or in the
flat form (see jobs.flat). `defaults:` beside `jobs:` stands under every job in the full form; `groups:` says which jobs
may share a group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from config.app_settings import resolve_schedules
from config.job_groups import SECTION, groups_of
from config.job_set import Use
from config.job_uses import uses_of
from config.merged_defaults import holds, merged
from config.shared_parts import SharedParts
from jobs.definition import JobDefinition
from jobs.flat import from_flat, is_flat, is_flat_key
from jobs.groups import GroupMembers
from jobs.model import AS_WRITTEN
from jobs.problems import Finding, Path, findings_of, findings_of_keys, unknown_key
from jobs.problems.slips import form_of_unknown
from jobs.problems.suggestions import fold
from jobs.schedules import DefaultSchedule, Schedule
from jobs.warnings import refusals_of, warnings_of

_TOP = ("jobs", "defaults", SECTION)
_BESIDE_JOBS = ("defaults", SECTION, "$schema")
_CALLED_ELSEWHERE = frozenset(
    {"endpoints", "monitors", "checks", "targets", "services", "tests", "healthchecks", "tasks"}
)
"""What other programs call the jobs."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One job as it stands in a file."""

    name: str | None
    """Its key; None in a list."""
    value: Any
    path: Path


@dataclass(frozen=True, slots=True)
class Entries:
    jobs: tuple[Entry, ...] = ()
    defaults: Mapping[str, Any] | None = None
    groups: Mapping[str, GroupMembers] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def entries_of(value: Any, stem: str) -> Entries:
    """The jobs in a file's value. `stem`, the file's name without ending, names a single flat job without a JobName."""
    if value is None:
        return Entries(findings=(Finding((), "is empty", "write jobs: with the jobs below it, or remove the file"),))
    if isinstance(value, list) or _is_one_flat_job(value):
        return Entries(tuple(_in_container(value, (), stem)))
    if not isinstance(value, dict):
        return Entries(
            findings=(Finding((), "holds no jobs but a single value", "write jobs: with the jobs below it"),)
        )
    containers = [key for key in value if key.lower() == "jobs" and not _is_job(value[key])]
    return _with_container(value, containers, stem) if containers else _at_top(value)


def _with_container(value: dict[str, Any], containers: list[str], stem: str) -> Entries:
    findings = [*findings_of_keys([key for key in value if key not in (*containers, *_BESIDE_JOBS)], _unknown)]
    jobs: list[Entry] = []
    for key in containers:
        held = value[key]
        if isinstance(held, (dict, list)):
            jobs += _in_container(held, (key,), stem)
        elif held is not None:
            findings.append(Finding((key,), "is neither a mapping of jobs by name nor a list of jobs"))
    return _with_sections(value, jobs, findings)


def _with_sections(value: Mapping[str, Any], jobs: Sequence[Entry], findings: Iterable[Finding]) -> Entries:
    """The jobs, and what stands beside them."""
    defaults, wrong = _defaults(value)
    is_a_job = any(entry.path == (SECTION,) for entry in jobs)
    groups, wrong_groups = groups_of(None if is_a_job else value.get(SECTION))
    return Entries(tuple(jobs), defaults, groups, (*findings, *wrong, *wrong_groups))


def _at_top(value: dict[str, Any]) -> Entries:
    """Jobs without `jobs:` around them. What is no job there is an unknown key, not a broken job."""
    jobs: list[Entry] = []
    others: list[str] = []
    some_are_jobs = any(_is_job(one) for one in value.values())
    for key, one in value.items():
        if _is_job(one) or (some_are_jobs and isinstance(one, dict) and key not in _BESIDE_JOBS):
            jobs.append(Entry(key, one, (key,)))
        elif key not in _BESIDE_JOBS:
            others.append(key)
    return _with_sections(value, jobs, findings_of_keys(others, _unknown))


def _in_container(held: Any, path: Path, stem: str) -> Iterator[Entry]:
    if isinstance(held, list):
        for index, one in enumerate(held):
            yield Entry(None, one, (*path, index))
    elif _is_one_flat_job(held):
        yield Entry(stem, held, path)
    else:
        for key, one in held.items():
            yield Entry(key, one, (*path, key))


def _is_job(value: Any) -> bool:
    return isinstance(value, dict) and (is_flat(value) or _has_check(value))


def _has_check(value: dict[str, Any]) -> bool:
    """Whether `check` is a key of this job, and no job of that name."""
    check = value.get("check")
    return "check" in value and not (isinstance(check, dict) and "check" in check)


def _is_one_flat_job(value: Any) -> bool:
    """A key of the form may hold what looks like a job: the body of a request, such as {"query": ...}."""
    if not isinstance(value, dict) or not is_flat(value):
        return False
    return not any(_is_job(one) for key, one in value.items() if not is_flat_key(key))


def _unknown(key: str) -> Finding:
    if fold(key) in _CALLED_ELSEWHERE:
        return Finding((key,), "unknown key", "write jobs: in its place, and a check in each job")
    return Finding((key,), *unknown_key(key, _TOP))


def _unknown_default(key: str, value: Any, known: list[str]) -> Finding:
    offer = form_of_unknown(key, value)
    return Finding(
        ("defaults", key), *(unknown_key(key, known) if offer is None else ("unknown key", f"write {offer}"))
    )


def _defaults(value: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, tuple[Finding, ...]]:
    defaults = value.get("defaults")
    if defaults is None:
        return None, ()
    if not isinstance(defaults, dict):
        return None, (Finding(("defaults",), "is not a mapping of keys to values"),)
    known = [key for key in JobDefinition.model_fields if key != "name"]
    others = [key for key in defaults if key not in known]
    wrong = findings_of_keys(others, lambda key: _unknown_default(key, defaults[key], known), ("defaults",))
    kept = {key: one for key, one in defaults.items() if key in known}
    return kept, (*wrong, *_wrong_defaults(kept))


def _wrong_defaults(defaults: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with defaults even if every job replaces them."""
    # Without app settings, the schedule is a valid stand-in: what is wrong with them is found in the jobs.
    written = resolve_schedules({"name": "defaults", "check": {}, **defaults}, {}, flat=False).job
    definition = _validated(written, SharedParts())
    for finding in definition if isinstance(definition, tuple) else ():
        if finding.message != "is missing":
            yield Finding(("defaults", *finding.path), finding.message, finding.hint)


def name_of(entry: Entry) -> tuple[str, ...]:
    """The name of a job whose definition is wrong, if it can be told: others may depend on it."""
    given = entry.value if isinstance(entry.value, dict) else {}
    written = next((value for key, value in given.items() if fold(key) in ("name", "jobname")), entry.name)
    return (written,) if isinstance(written, str) else ()


@dataclass(frozen=True, slots=True)
class Defined:
    """A job, what it hardly means, and what it needs from outside; keys as they stand in the file."""

    job: JobDefinition
    warnings: tuple[Finding, ...] = ()
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What a job takes from around it. `defaults`: those of its file, for the full form."""

    defaults: Mapping[str, Any] | None
    shared: SharedParts
    now_ms: int
    environ: Mapping[str, str]
    """The app settings that schedules may name."""
    default_schedule: Schedule | None = None
    """For the flat form."""


def define(entry: Entry, context: Context) -> Defined | tuple[Finding, ...]:
    """Return the entry's definition, or everything that is wrong with it."""
    if not isinstance(entry.value, dict):
        what = "has nothing below it" if entry.value is None else "is not a mapping of keys to values"
        return (Finding(entry.path, what, "a job has at least a check"),)
    return _from_flat(entry, context) if is_flat(entry.value) else _from_full(entry, context)


def _from_flat(entry: Entry, context: Context) -> Defined | tuple[Finding, ...]:
    settings = resolve_schedules(entry.value, context.environ, flat=True)
    unresolved = [_moved(finding, (*entry.path, *finding.path)) for finding in settings.findings]
    defined = _of_flat(entry, settings.job, context)
    if isinstance(defined, Defined):
        return tuple(unresolved) or defined
    depth = len(entry.path)
    return (*unresolved, *(settings.with_origin(finding, depth) for finding in defined))


def _of_flat(entry: Entry, mapping: Mapping[str, Any], context: Context) -> Defined | tuple[Finding, ...]:
    job = from_flat(entry.name or "", mapping)

    def in_file(path: Path) -> Path:
        return (*entry.path, *job.flat_path(path))

    found = [_moved(finding, (*entry.path, *finding.path)) for finding in job.findings]
    written = job.definition
    if "schedule" not in written and context.default_schedule is not None:
        written = {**written, "schedule": DefaultSchedule(context.default_schedule)}
    definition = _validated(written, context.shared)
    if isinstance(definition, JobDefinition) and not found:
        warnings = [_moved(finding, (*entry.path, *finding.path)) for finding in job.warnings]
        return _reviewed(definition, context, in_file, warnings)
    told = {finding.path for finding in found}
    for finding in definition if isinstance(definition, tuple) else ():
        path = in_file(finding.path)
        if path not in told and not (finding.message == "is missing" and found):
            found.append(_moved(finding, path))
    return tuple(found)


def _from_full(entry: Entry, context: Context) -> Defined | tuple[Finding, ...]:
    job: Mapping[str, Any] = entry.value
    defaults = context.defaults
    named = {"name": entry.name} if entry.name is not None else {}
    if named and job.get("name", entry.name) != entry.name:
        return (Finding((*entry.path, "name"), "differs from the key above it", "remove it: the key names the job"),)
    settings = resolve_schedules(
        named | (merged(defaults, job) if defaults else dict(job)), context.environ, flat=False
    )
    definition = _validated(settings.job, context.shared)
    if settings.findings:
        others = definition if isinstance(definition, tuple) else ()
        return tuple(_placed(finding, entry, defaults) for finding in (*settings.findings, *others))
    if isinstance(definition, JobDefinition):
        return _reviewed(definition, context, lambda path: _path_in_file(path, entry, defaults))
    return tuple(_placed(settings.with_origin(finding), entry, defaults) for finding in definition)


def _reviewed(
    job: JobDefinition, context: Context, in_file: Callable[[Path], Path], warnings: Iterable[Finding] = ()
) -> Defined | tuple[Finding, ...]:
    """The valid definition with its warnings, or why it must not be used. `in_file`: turns keys of the full form."""
    if refusals := refusals_of(job):
        return tuple(_moved(finding, in_file(finding.path)) for finding in refusals)
    found = (*warnings, *(_moved(finding, in_file(finding.path)) for finding in warnings_of(job, context.now_ms)))
    return Defined(job, found, tuple(use._replace(path=in_file(use.path)) for use in uses_of(job)))


def _moved(finding: Finding, path: Path) -> Finding:
    return Finding(path, finding.message, finding.hint)


def _placed(finding: Finding, entry: Entry, defaults: Mapping[str, Any] | None) -> Finding:
    """Where the wrong value stands: in the job, or in the defaults that it took it from."""
    if finding.path == ("name",) and "name" not in entry.value and entry.name is not None:
        return Finding(entry.path, f"as a name {finding.message}", finding.hint)
    return _moved(finding, _path_in_file(finding.path, entry, defaults))


def _path_in_file(path: Path, entry: Entry, defaults: Mapping[str, Any] | None) -> Path:
    from_defaults = defaults and holds(defaults, path) and not holds(entry.value, path)
    return ("defaults", *path) if from_defaults else (*entry.path, *path)


def _validated(written: Mapping[str, Any], shared: SharedParts) -> JobDefinition | tuple[Finding, ...]:
    try:
        definition = JobDefinition.model_validate(shared.put_in(written), context=AS_WRITTEN)
    except ValidationError as error:
        return findings_of(error.errors(include_url=False), JobDefinition)
    shared.learn(written, definition)
    return definition
