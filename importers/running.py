"""Runs one import: detects the source, maps the files, validates the jobs. No I/O but reading the files.

A new source is a module in sources/ and its line in SOURCES. Jobs are validated by the code that validates job files.
A refused optional part, such as an expectation, is removed from its job; without a required part, the job is
discarded. Both are reported as not carried over with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from pydantic import ValidationError

from config.errors import ConfigurationError
from config.job_files.job_set import JobFile
from config.job_files.reader import JobFileReader
from importers.import_context import ImportContext, ImportOptions
from importers.ledger import JobDraft
from importers.report import ImportReport, create_report, write_job_file_text
from importers.source_tree import ImportFailed, SourceFile, UnreadableSource
from jobs.definition import JobDefinition
from jobs.model_base import FILE_CONTEXT
from jobs.problems import Finding, KeyPath, Problem, dotted_path, validation_findings
from jobs.targets.http import HttpTarget
from jobs.targets.steps import StepsTarget, exposes_secrets


class Source(Protocol):
    """The functions of a module in sources/."""

    def detects(self, file: SourceFile) -> bool:
        """Return whether a file surely is of this source. Reads little; raises only UnreadableSource."""
        ...

    def import_files(self, files: Sequence[SourceFile], context: ImportContext) -> None:
        """Add the jobs of all files, and each document, to the context. Raises UnreadableSource."""
        ...


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """`module` below importers.sources; `summary` completes "Import ..."; `member`: of a module with several."""

    module: str
    summary: str
    member: str = ""


SOURCES = {
    "uptime-kuma": SourceEntry("kuma.source", "monitors of Uptime Kuma (kuma.db of 1.x and 2.x, JSON backup of 1.x)"),
    "healthchecks": SourceEntry("healthchecks", "checks of Healthchecks (JSON of its Management API)"),
    "gatus": SourceEntry("gatus.source", "endpoints, external endpoints and suites of Gatus"),
    "datadog": SourceEntry("datadog.source", "tests of Datadog Synthetics (JSON of its API)"),
    "app-insights": SourceEntry(
        "app_insights.source", "web tests of Application Insights (XML, ARM templates, JSON of Azure, Terraform)"
    ),
    "blackbox": SourceEntry("blackbox.source", "modules of blackbox_exporter with targets of Prometheus"),
    "crontab": SourceEntry("crontab.source", "curl and wget commands of a crontab"),
    "crontab-system": SourceEntry("crontab.source", "the same of a crontab with a user in each line", "SYSTEM"),
}
"""In the order of detection."""


def load_source(name: str) -> Source:
    """Return the source of a name in SOURCES."""
    entry = SOURCES[name]
    module = import_module(f"importers.sources.{entry.module}")
    return cast("Source", getattr(module, entry.member) if entry.member else module)


_MAX_REMOVED = 100
"""Parts that are removed from one job; more means that the job is not like its source any more."""
_MAX_ROUNDS = 100
"""Rounds of taking out what is refused together; each finds all problems at once."""
_CHECKED_FILE = "imported.yaml"


def validate_drafts(context: ImportContext) -> None:
    """Leave valid jobs only in the context."""
    for draft in list(context.jobs.values()):
        _remove_secret_values(context, draft)
        _validate_draft(context, draft)
    _validate_together(context)


def _remove_secret_values(context: ImportContext, draft: JobDraft) -> None:
    """A value that the source has as a secret in one place can be part of a text in another one."""
    while (name := context.secrets.find_value_in(draft.definition)) is not None:
        path = _find_path(context, draft.definition, name)
        why = f"it contains the value of the secret {name}"
        if path is None or not draft.remove(path, why):
            context.discard_job(draft, why)
            return


def _find_path(context: ImportContext, value: Any, name: str) -> tuple[str | int, ...] | None:
    path: tuple[str | int, ...] = ()
    while isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in items:
            if context.secrets.find_value_in(one) is not None:
                path, value = (*path, key), one
                break
        else:
            return path or None
    return path or None


def _validate_draft(context: ImportContext, draft: JobDraft) -> None:
    if draft.name not in context.jobs:
        return
    for _ in range(_MAX_REMOVED):
        result = _build(draft.name, draft.definition)
        if isinstance(result, JobDefinition):
            _allow_plain_http(context, draft, result)
            return
        finding = result[0]
        why = _explain(finding)
        if not draft.remove(_narrow(draft, finding.path), why):
            context.discard_job(draft, why)
            return
    context.discard_job(draft, "too many of its parts have no equivalent")


def _narrow(draft: JobDraft, path: KeyPath) -> KeyPath:
    """Return the path of the refused entry, if the problem is of a whole list; its last one if it is too long."""
    if path not in (("expect",), ("alerts",)):
        return path
    key, entries = str(path[0]), draft.definition.get(str(path[0]), [])
    for index, entry in enumerate(entries):
        if not isinstance(_build(draft.name, {**draft.definition, key: [entry]}), JobDefinition):
            return (key, index)
    return (key, len(entries) - 1)


def _build(name: str, definition: Mapping[str, Any]) -> JobDefinition | tuple[Finding, ...]:
    try:
        return JobDefinition.model_validate({"name": name, **definition}, context=FILE_CONTEXT)
    except ValidationError as error:
        return validation_findings(error.errors(include_url=False), JobDefinition)


def _explain(finding: Finding) -> str:
    place = dotted_path(*finding.path)
    hint = f"; {finding.hint}" if finding.hint else ""
    return f"{place}: {finding.message}{hint}" if place else f"{finding.message}{hint}"


def _allow_plain_http(context: ImportContext, draft: JobDraft, job: JobDefinition) -> None:
    """A source that sends a secret over plain http still does so as a job, and a note warns the user."""
    check = job.check
    if isinstance(check, HttpTarget) and exposes_secrets(check, check.url):
        draft.definition["check"]["allow_plain_http"] = True
    elif isinstance(check, StepsTarget):
        steps = [*draft.definition["check"].get("steps", []), *draft.definition["check"].get("cleanup", [])]
        exposed = [
            written
            for written, step in zip(steps, [*check.steps, *check.cleanup], strict=True)
            if exposes_secrets(step, step.url)
        ]
        if not exposed:
            return
        for written in exposed:
            written["allow_plain_http"] = True
    else:
        return
    context.notes.append(
        f"{draft.name}: sends a secret over plain http, as its source does: allow_plain_http is set; use https"
    )


def _validate_together(context: ImportContext) -> None:
    """Validate the text that is written, as `validate` does: names that jobs share, dependencies, other sections."""
    for _ in range(_MAX_ROUNDS):
        problems = _find_problems(context)
        if not problems:
            return
        removed = [_remove_refused(context, problem) for problem in problems]
        if not any(removed):
            raise ImportFailed(f"the imported jobs are not a valid job file: {problems[0]}")
    raise ImportFailed("the imported jobs are not a valid job file")


def _find_problems(context: ImportContext) -> Sequence[Problem]:
    file = JobFile(_CHECKED_FILE, _CHECKED_FILE, write_job_file_text("import", context).encode())
    try:
        JobFileReader(Path(), {}).parse(_CHECKED_FILE, [file])
    except ConfigurationError as error:
        return error.problems
    return ()


def _remove_refused(context: ImportContext, problem: Problem) -> bool:
    """Take the part, the job or the section entry of a problem out of the result. Return whether there is one."""
    section, _, rest = problem.key.partition(".")
    why = str(replace(problem, file=None, line=None))
    if section != "jobs":
        return context.discard_section(problem.key, why)
    name = max((name for name in context.jobs if rest == name or rest.startswith(f"{name}.")), key=len, default=None)
    if name is None:
        return False
    draft = context.jobs[name]
    if not draft.remove(_parse_key(rest[len(name) + 1 :]), why):
        context.discard_job(draft, why)
    return True


def _parse_key(key: str) -> KeyPath:
    """Return the path of a key such as `alerts[0].notify`."""
    parts = re.findall(r"[^.\[\]]+|\[\d+\]", key)
    return tuple(int(part[1:-1]) if part.startswith("[") else part for part in parts)


def detect_source(files: Sequence[SourceFile]) -> str:
    """Return the source of the files: the first that detects one of them. Raises UnreadableSource."""
    for name in SOURCES:
        source = load_source(name)
        if any(source.detects(file) for file in files):
            return name
    names = ", ".join(SOURCES)
    raise UnreadableSource(files[0].shown, "no source recognises this file", f"name the source: {names}")


def run_import(source: str, files: Sequence[SourceFile], options: ImportOptions | None = None) -> ImportReport:
    """Return the jobs and what became of each leaf. `source`: a name in SOURCES.

    Raises UnreadableSource: a file cannot be read; nothing is imported.
    """
    context = ImportContext(options)
    load_source(source).import_files(files, context)
    validate_drafts(context)
    return create_report(source, context)
