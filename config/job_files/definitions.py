"""Turns one job of a file into a definition or into findings, and finds the secrets and files that it names.

A job is put over the defaults of its file first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from config.job_files.app_settings import resolve_schedules
from config.job_files.defaults import has_value, merge_defaults
from config.job_files.entries import JobEntry, PartInterner, validate_job
from config.job_files.job_set import ExternalUse
from config.job_files.preset_jobs import expand_job, uses_preset
from config.presets.library import NO_OWN_PRESETS, PresetLibrary
from jobs.definition import JobDefinition
from jobs.flat import convert_flat_job, is_flat_job
from jobs.model_base import SecretRef
from jobs.problems import Finding, KeyPath
from jobs.schedules import DefaultSchedule, Schedule
from jobs.targets import AzureTarget, TlsOptions
from jobs.targets.http import ManagedIdentityAuth
from jobs.warnings import find_refusals, find_warnings

_PLAIN_TYPES = frozenset({str, int, float, bool, type(None)})
"""Most values of a model; skipped first, as there can be ten thousand jobs."""


def find_external_uses(job: JobDefinition) -> tuple[ExternalUse, ...]:
    """Return what the job's check needs, by keys of the full form."""
    return tuple(_find_uses_in(job.check, ("check",)))


def _find_uses_in(value: object, path: KeyPath) -> Iterator[ExternalUse]:
    if isinstance(value, SecretRef):
        yield ExternalUse("secret", value.secret, path)
    elif isinstance(value, BaseModel):
        if isinstance(value, TlsOptions) and value.ca_file is not None:
            yield ExternalUse("ca_file", value.ca_file, (*path, "ca_file"))
        if isinstance(value, ManagedIdentityAuth):
            yield ExternalUse("scope", value.scope, (*path, "scope"))
        if isinstance(value, AzureTarget):
            yield ExternalUse("scope", value.auth.scope, (*path, "kind"))
        # What was not given has its default, and none of these names anything.
        for key in value.model_fields_set:
            if type(part := getattr(value, key)) not in _PLAIN_TYPES:
                yield from _find_uses_in(part, (*path, key))
    elif isinstance(value, (tuple, list)):
        for index, part in enumerate(value):
            if type(part) not in _PLAIN_TYPES:
                yield from _find_uses_in(part, (*path, index))
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if type(part) not in _PLAIN_TYPES:
                yield from _find_uses_in(part, (*path, str(key)))


@dataclass(frozen=True, slots=True)
class DefinedJob:
    """A job, its warnings, and what it needs from outside; paths are those of the file."""

    job: JobDefinition
    warnings: tuple[Finding, ...] = ()
    uses: tuple[ExternalUse, ...] = ()


@dataclass(frozen=True, slots=True)
class DefinitionContext:
    """What the definition of a job depends on. `defaults`: those of its file, for the full form."""

    defaults: Mapping[str, Any] | None
    interner: PartInterner
    now_ms: int
    environ: Mapping[str, str]
    """The app settings that schedules may name."""
    default_schedule: Schedule | None = None
    """For the flat form."""
    presets: PresetLibrary = NO_OWN_PRESETS


def define_job(entry: JobEntry, context: DefinitionContext) -> DefinedJob | tuple[Finding, ...]:
    """Return the entry's definition, or everything that is wrong with it."""
    if not isinstance(entry.value, dict):
        what = "is empty" if entry.value is None else "is not a mapping of keys to values"
        return (Finding(entry.path, what, "a job needs at least a check"),)
    if uses_preset(entry.value):
        return _define_with_preset(entry, context)
    return _define_flat(entry, context) if is_flat_job(entry.value) else _define_full(entry, context)


def _define_with_preset(entry: JobEntry, context: DefinitionContext) -> DefinedJob | tuple[Finding, ...]:
    expanded = expand_job(entry, context.defaults or {}, context.presets)
    if isinstance(expanded, tuple):
        return expanded
    defined = _define_full(expanded.entry, replace(context, defaults=None))
    if isinstance(defined, tuple):
        return tuple(map(expanded.locate, defined))
    if too_frequent := tuple(expanded.find_too_frequent(defined.job)):
        return too_frequent
    warnings = tuple(map(expanded.locate, defined.warnings))
    uses = tuple(use._replace(path=expanded.path_in_file(use.path)) for use in defined.uses)
    return DefinedJob(defined.job, warnings, uses)


def _define_flat(entry: JobEntry, context: DefinitionContext) -> DefinedJob | tuple[Finding, ...]:
    settings = resolve_schedules(entry.value, context.environ, flat=True)
    unresolved = [_move(finding, (*entry.path, *finding.path)) for finding in settings.findings]
    defined = _define_translated(entry, settings.job, context)
    if isinstance(defined, DefinedJob):
        return tuple(unresolved) or defined
    depth = len(entry.path)
    return (*unresolved, *(settings.with_origin(finding, depth) for finding in defined))


def _define_translated(
    entry: JobEntry, mapping: Mapping[str, Any], context: DefinitionContext
) -> DefinedJob | tuple[Finding, ...]:
    job = convert_flat_job(entry.name or "", mapping)

    def in_file(path: KeyPath) -> KeyPath:
        return (*entry.path, *job.to_flat_path(path))

    findings = [_move(finding, (*entry.path, *finding.path)) for finding in job.findings]
    written = job.definition
    if "schedule" not in written and context.default_schedule is not None:
        written = {**written, "schedule": DefaultSchedule(context.default_schedule)}
    definition = validate_job(written, context.interner)
    if isinstance(definition, JobDefinition) and not findings:
        warnings = [_move(finding, (*entry.path, *finding.path)) for finding in job.warnings]
        return _review(definition, context, in_file, warnings)
    reported = {finding.path for finding in findings}
    for finding in definition if isinstance(definition, tuple) else ():
        path = in_file(finding.path)
        if path not in reported and not (finding.message == "is missing" and findings):
            findings.append(_move(finding, path))
    return tuple(findings)


def _define_full(entry: JobEntry, context: DefinitionContext) -> DefinedJob | tuple[Finding, ...]:
    job: Mapping[str, Any] = entry.value
    defaults = context.defaults
    named = {"name": entry.name} if entry.name is not None else {}
    if named and job.get("name", entry.name) != entry.name:
        return (Finding((*entry.path, "name"), f"is not {entry.name}, the name of the job", "remove it"),)
    settings = resolve_schedules(
        named | (merge_defaults(defaults, job) if defaults else dict(job)), context.environ, flat=False
    )
    definition = validate_job(settings.job, context.interner)
    if settings.findings:
        others = definition if isinstance(definition, tuple) else ()
        return tuple(_locate(finding, entry, defaults) for finding in (*settings.findings, *others))
    if isinstance(definition, JobDefinition):
        return _review(definition, context, lambda path: _path_in_file(path, entry, defaults))
    return tuple(_locate(settings.with_origin(finding), entry, defaults) for finding in definition)


def _review(
    job: JobDefinition,
    context: DefinitionContext,
    in_file: Callable[[KeyPath], KeyPath],
    warnings: Iterable[Finding] = (),
) -> DefinedJob | tuple[Finding, ...]:
    """Return the valid definition with its warnings, or the refusals.

    `in_file`: maps paths of the full form to the file.
    """
    if refusals := find_refusals(job):
        return tuple(_move(finding, in_file(finding.path)) for finding in refusals)
    found = (*warnings, *(_move(finding, in_file(finding.path)) for finding in find_warnings(job, context.now_ms)))
    return DefinedJob(job, found, tuple(use._replace(path=in_file(use.path)) for use in find_external_uses(job)))


def _move(finding: Finding, path: KeyPath) -> Finding:
    return Finding(path, finding.message, finding.hint)


def _locate(finding: Finding, entry: JobEntry, defaults: Mapping[str, Any] | None) -> Finding:
    """Locate the wrong value: in the job, or in its defaults."""
    if finding.path == ("name",) and "name" not in entry.value and entry.name is not None:
        return Finding(entry.path, f"as a name {finding.message}", finding.hint)
    return _move(finding, _path_in_file(finding.path, entry, defaults))


def _path_in_file(path: KeyPath, entry: JobEntry, defaults: Mapping[str, Any] | None) -> KeyPath:
    from_defaults = defaults and has_value(defaults, path) and not has_value(entry.value, path)
    return ("defaults", *path) if from_defaults else (*entry.path, *path)
