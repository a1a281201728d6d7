"""Validates stored jobs by the rules of job files, alone and together with the files. Called by scheduler.catalog.

A job file never depends on a stored job. A stored job that does not fit is rejected alone.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from config.documents.document import Document, rewrite_examples_as_json
from config.documents.json_text import parse_json
from config.documents.parse_result import ParseError
from config.job_files.alerting_checks import find_conflicts_of_job, find_unknown_names_of_job
from config.job_files.alerting_section import AlertingContext
from config.job_files.defaults import merge_defaults, remaining_defaults
from config.job_files.definitions import DefinedJob, DefinitionContext, define_job
from config.job_files.entries import JobEntry, PartInterner, find_entries, find_job_name
from config.job_files.job_set import JobSet, check_membership
from config.job_files.joining import (
    LocatedJob,
    find_disagreements,
    find_wrong_dependencies,
    locate_by_origin,
    locate_dependency_problem,
    locate_uses,
)
from config.job_files.preset_jobs import uses_preset
from config.presets.library import NO_OWN_PRESETS, PresetLibrary
from jobs.flat import is_flat_job
from jobs.problems import Finding, KeyPath, Problem, dotted_path
from jobs.schedules import Schedule

MAX_DEFINITION_BYTES = 200_000
"""Bytes of one definition as JSON."""


class JsonDocument(Document):
    """A definition that is not in a file: its problems have no line."""

    def problem(self, finding: Finding) -> Problem:
        """Return the problem, with examples as JSON."""
        message, hint = rewrite_examples_as_json(finding.message), rewrite_examples_as_json(finding.hint)
        return Finding(finding.path, message, hint).to_problem(self.file)


@dataclass(frozen=True, slots=True)
class LocatedStoredJob(LocatedJob):
    """A stored job. `version`: its number; 0 for one that is not stored yet."""

    version: int = 0
    warnings: tuple[Problem, ...] = ()

    @property
    def origin(self) -> str:
        return f"stored, version {self.version}" if self.version else "not stored"


class StoredJobDefiner:
    """Turns definitions as users wrote them, in the full or in the flat form, into jobs."""

    def __init__(
        self,
        default_schedule: Schedule | None,
        environ: Mapping[str, str] | None = None,
        presets: PresetLibrary = NO_OWN_PRESETS,
    ) -> None:
        """`environ`: the app settings that schedules may name; by default those of the process."""
        self._default_schedule = default_schedule
        self._environ = os.environ if environ is None else environ
        self._interner = PartInterner()
        self.presets = presets
        """Replaced when the job files change."""

    def define(
        self, name: str | None, definition: Any, version: int = 0, base: str = ""
    ) -> LocatedStoredJob | tuple[Problem, ...]:
        """Return the job, or everything that is wrong with it. `base`: the start of the keys in problems.

        `name` None: the definition contains it.
        """
        document = JsonDocument(base, None)
        context = DefinitionContext(
            None,
            self._interner,
            time.time_ns() // 1_000_000,
            self._environ,
            self._default_schedule,
            self.presets,
        )
        if isinstance(definition, dict) and name is None and not find_job_name(JobEntry(None, definition, ())):
            return (document.problem(Finding(("name",), "is missing", "give the job a name")),)
        defined = define_job(JobEntry(name, definition, ()), context)
        if isinstance(defined, DefinedJob) and name not in (None, defined.job.name):
            key = "name" if "name" in definition else "JobName"
            defined = (Finding((key,), f"is {defined.job.name}, but the job is {name}", "use one name"),)
        if not isinstance(defined, DefinedJob):
            return tuple(document.problem(finding) for finding in dict.fromkeys(defined))
        warnings = tuple(document.problem(finding) for finding in dict.fromkeys(defined.warnings))
        return LocatedStoredJob(defined.job, "", 0, (), None, document, defined.uses, version, warnings)


@dataclass(frozen=True, slots=True)
class WrittenJobs:
    """Definitions by name, each with the start of its keys in problems; and what is wrong with the document."""

    definitions: Mapping[str, Mapping[str, Any]]
    bases: Mapping[str, str]
    problems: tuple[Problem, ...] = ()


def read_written_jobs(
    value: Any, document: Document | None = None, stem: str = "", presets: PresetLibrary = NO_OWN_PRESETS
) -> WrittenJobs:
    """Read a document as a job file has it, with `jobs` and `defaults`. The defaults become part of each definition.

    `document`, `stem`: of a file, for the lines of problems and the name of a single job in the flat form.
    """
    document = document or JsonDocument("", None)
    entries = find_entries(value, stem)
    problems = [document.problem(finding) for finding in entries.findings]
    if entries.groups:
        problems.append(document.problem(Finding(("groups",), "are not allowed here", "declare groups in a job file")))
    if entries.alerting.entries:
        problems.append(document.problem(Finding(("alerting",), "is not allowed here", "declare it in a job file")))
    definitions: dict[str, Mapping[str, Any]] = {}
    bases: dict[str, str] = {}
    for entry in entries.jobs:
        base = dotted_path(*entry.path)
        names = find_job_name(entry)
        if not isinstance(entry.value, dict) or not names:
            what = "is not a mapping of keys to values" if names else "has no name"
            problems.append(document.problem(Finding(entry.path, what, "a job needs a name and a check")))
        elif names[0] in definitions:
            twice = f"the job {names[0]} is defined twice"
            problems.append(document.problem(Finding(entry.path, twice, "rename one of them")))
        else:
            definitions[names[0]] = _complete(entry, entries.defaults, presets)
            bases[names[0]] = base
    return WrittenJobs(definitions, bases, tuple(problems))


def _complete(entry: JobEntry, defaults: Mapping[str, Any] | None, presets: PresetLibrary) -> Mapping[str, Any]:
    written: dict[str, Any] = entry.value
    if defaults and uses_preset(written) and (preset := presets.find(str(written["preset"]))) is not None:
        defaults = remaining_defaults(defaults, preset.job)
    return merge_defaults(defaults, written) if defaults and not is_flat_job(written) else written


class InvalidJson(ValueError):
    """A body is not JSON that the scheduler accepts. The message has the reason."""


def parse_definition_json(text: bytes) -> Any:
    """Parse strictly: no duplicate keys, no numbers beyond those of JSON. Raises InvalidJson."""
    try:
        parsed = parse_json(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidJson("is not UTF-8 text") from None
    except ParseError as error:
        line = "" if error.line is None else f" in line {error.line}"
        hint = f"; {error.hint}" if error.hint else ""
        raise InvalidJson(f"{error.message}{line}{hint}") from None
    if parsed.duplicates:
        raise InvalidJson(f"contains the key {dotted_path(*parsed.duplicates[0])} twice; keep one of them")
    if (path := _find_infinity(parsed.value)) is not None:
        raise InvalidJson(f"contains a number that is too large at {dotted_path(*path)}")
    return parsed.value


def _find_infinity(value: Any, path: KeyPath = ()) -> KeyPath | None:
    if isinstance(value, float):
        return path if value in (float("inf"), float("-inf")) else None
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return next((found for key, one in items if (found := _find_infinity(one, (*path, key))) is not None), None)


class FileJobIndex:
    """The jobs of files, as stored jobs are compared with them. Built once for each set of files."""

    def __init__(self, files: JobSet) -> None:
        self.groups = files.groups
        self._alerting = files.alerting
        self.jobs = {
            job.name: locate_by_origin(job, files.origins[job.name], lambda file: JsonDocument(file, None))
            for job in files
        }

    def find_rejected(self, stored: Mapping[str, LocatedStoredJob]) -> dict[str, tuple[Problem, ...]]:
        """Return the stored jobs that cannot be in force together with the files and each other, with the reasons."""
        rejected: dict[str, tuple[Problem, ...]] = {
            name: (Problem("name", f"a job file defines this job: {self.jobs[name].origin}", "rename one of them"),)
            for name in stored
            if name in self.jobs
        }
        while True:
            accepted = {name: one for name, one in stored.items() if name not in rejected}
            found = self._find_problems(accepted, stored)
            if not found:
                return rejected
            rejected |= {name: tuple(problems) for name, problems in found.items()}

    def find_unknown_names(
        self, stored: Mapping[str, LocatedStoredJob], rejected: Container[str]
    ) -> dict[str, tuple[Problem, ...]]:
        """Return the channels, severities and parents that alerts name and that do not exist, by stored job.

        The jobs are in force nevertheless: their checks must not end because a file does not define a channel any more.
        """
        accepted = {name: one for name, one in stored.items() if name not in rejected}
        others = {name: one for name, one in stored.items() if name in rejected}
        conflicts: dict[str, tuple[Problem, ...]] = {}
        for some, together in ((accepted, accepted), (others, stored)):
            context = AlertingContext({}, {**self.jobs, **together}, self._alerting, is_partial=True)
            for name, one in some.items():
                if problems := tuple(find_unknown_names_of_job(one, context)):
                    conflicts[name] = problems
        return conflicts

    def _find_problems(
        self, accepted: Mapping[str, LocatedStoredJob], stored: Mapping[str, LocatedStoredJob]
    ) -> Mapping[str, list[Problem]]:
        together: dict[str, LocatedJob] = {**self.jobs, **accepted}
        problems: defaultdict[str, list[Problem]] = defaultdict(list)
        for wrong in find_wrong_dependencies(together):
            needed = together[wrong.job].job.depends_on[wrong.index].job
            if needed in stored and not wrong.circle:
                wrong = replace(wrong, message=f"the job {needed} is not in force", hint="")
            problems[wrong.job].append(locate_dependency_problem(wrong, together))
        for name, problem in find_disagreements(together, self.groups):
            problems[name].append(problem)
        for name, problem in check_membership(accepted.values(), self.groups).rejected_jobs.items():
            problems[name].append(problem)
        context = AlertingContext({}, together, self._alerting, is_partial=True)
        for name, one in accepted.items():
            problems[name] += find_conflicts_of_job(one, context)
        # Files that have problems themselves are used by commands only.
        return {name: found for name, found in problems.items() if found and name in accepted}


def name_jobs(jobs: JobSet, stored: Iterable[LocatedStoredJob]) -> JobSet:
    """Return the set with the name of the job at the start of each key: a stored job has no file and line."""
    uses = [replace(use, document=replace(use.document, file=dotted_path("jobs", use.job.name))) for use in jobs.uses]
    named = [replace(one, key=dotted_path("jobs", each.job.name, one.key)) for each in stored for one in each.warnings]
    return replace(jobs, uses=tuple(uses), warnings=tuple(named))


def join_uses(files: JobSet, stored: Iterable[LocatedStoredJob]) -> JobSet:
    """Return the stored jobs as a set, for warnings that need files, secrets or settings."""
    some: Sequence[LocatedStoredJob] = list(stored)
    return JobSet(
        {one.job.name: one.job for one in some},
        {one.job.name: one.origin for one in some},
        digest=files.digest,
        warnings=tuple(warning for one in some for warning in one.warnings),
        uses=tuple(locate_uses(some)),
    )
