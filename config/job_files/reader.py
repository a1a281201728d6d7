"""Job files into a `JobSet`: which files of a place are job files, and all jobs of them, or every problem at once.

Jobs are cached by the content of a file, so that reading again parses changed files only, and all presets.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path, PurePath

import config
from config.documents.document import Document, UnreadableFile, parse_document, read_file
from config.errors import ConfigurationError
from config.job_files.alerting_section import LocatedEntry
from config.job_files.definitions import DefinedJob, DefinitionContext, define_job
from config.job_files.entries import PartInterner, find_entries, find_job_name
from config.job_files.job_set import GROUPS_KEY, DeclaredGroup, JobFile, JobSet, make_digest
from config.job_files.joining import FileJobs, LocatedJob, join_files
from config.job_files.preset_jobs import check_preset
from config.presets.library import NO_OWN_PRESETS, PRESETS_FOLDER, PresetLibrary, read_own_presets
from jobs.definition import JobDefinition
from jobs.policies.groups import GroupMembers
from jobs.problems import Finding, Problem
from jobs.problems import KeyPath as KeyPath
from jobs.schedules import Schedule

JOB_FILE_SUFFIXES = (".yaml", ".yml", ".json")
_SCHEMA_FILES = ("jobs.schema.json", "job.schema.json")
"""JSON schemas, which editors expect next to the job files."""

MAX_SEARCHED_FOLDERS = 1000
"""Searched sub-folders: the setting can be a mistake, such as a home folder."""
_MAX_LISTED_FILES = 3
"""Files that a warning names."""


def is_job_file(name: str) -> bool:
    """By its name."""
    # A mounted ConfigMap has hidden folders and links; so do editors.
    is_hidden = name.startswith(".") or name in _SCHEMA_FILES
    return PurePath(name).suffix.lower() in JOB_FILE_SUFFIXES and not is_hidden


def is_job_path(path: str) -> bool:
    """Return whether a path below the place is that of a job file, by its parts: hidden folders are excluded, too."""
    *folders, name = path.split("/")
    return is_job_file(name) and not any(folder.startswith(".") for folder in folders)


def find_nested_job_files(place: Path) -> Iterator[Path]:
    """Yield the job files in folders inside a folder, which are not read; hidden folders and links are excluded."""
    for folder, folders, names in islice(os.walk(place), MAX_SEARCHED_FOLDERS):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if Path(folder) != place:
            yield from (Path(folder, name) for name in sorted(names) if is_job_file(name))


def location_warnings(location: str, job_count: int, nested: Sequence[str]) -> Iterator[Problem]:
    """Yield warnings of a place without jobs, or with job files in sub-folders."""
    if nested:
        names = ", ".join(nested[:_MAX_LISTED_FILES])
        more = f" and {len(nested) - _MAX_LISTED_FILES} more" if len(nested) > _MAX_LISTED_FILES else ""
        verb = "is not read, because it is" if len(nested) == 1 else "are not read, because they are"
        hint = "move it into the folder itself" if len(nested) == 1 else "move them into the folder itself"
        yield Problem("", f"{names}{more} {verb} in a folder inside", hint, location)
    if job_count == 0:
        kinds = ", ".join(f"*{ending}" for ending in JOB_FILE_SUFFIXES)
        hint = (
            "write jobs: with the jobs below it"
            if is_job_file(location)
            else f"jobs are defined in files {kinds} there"
        )
        yield Problem("", "has no job, so nothing is checked", hint, location)


__all__ = ["JOB_FILE_SUFFIXES", "JobFile", "JobFileReader", "JobSet", "is_job_file"]


_MAX_FINDINGS_PER_FILE = 500
"""Problems of one file after which its other jobs are not checked: each message takes time."""

_PROGRAM_FOLDER = Path(config.__path__[0]).resolve().parent
"""The program's folder. The command `validate` displays paths relative to the working folder instead."""


class JobFileReader:
    """Reads folders of job files repeatedly. Not for concurrent use."""

    def __init__(self, root: Path, environ: Mapping[str, str] | None = None) -> None:
        """`environ`: the app settings for schedules; by default those of the process."""
        self._root = root
        self._environ = os.environ if environ is None else environ
        self._cache: dict[Path | str, dict[str, FileJobs]] = {}

    def read(
        self,
        place: Path,
        *,
        substitutions: Mapping[str, str] | None = None,
        default_schedule: Schedule | None = None,
    ) -> JobSet:
        """Return all jobs of a folder's *.yaml, *.yml and *.json files (not of folders inside it), or of one file.

        `substitutions`: see config.documents.document.parse_document. `default_schedule`: of flat jobs that have none.

        Raises:
            ConfigurationError: with every problem of every file, or if `place` does not exist.
        """
        files = chain(map(self._read_file, self.list_files(place)), self._find_nested(place))
        presets = self._read_presets(place)
        return self.parse(place, files, presets, substitutions=substitutions, default_schedule=default_schedule)

    def parse(
        self,
        place: Path | str,
        files: Iterable[JobFile],
        preset_files: Iterable[JobFile] = (),
        *,
        substitutions: Mapping[str, str] | None = None,
        default_schedule: Schedule | None = None,
    ) -> JobSet:
        """Return the jobs of these files, all of those at `place`. Only job files that have changed are parsed again.

        Raises:
            ConfigurationError: as `read`.
        """
        before = self._cache.get(place, {})
        now: dict[str, FileJobs] = {}
        read: list[FileJobs] = []
        nested: list[str] = []
        shared = PartInterner()
        presets, problems = check_own_presets(preset_files)
        if problems:
            read.append(FileJobs(problems=problems))
        for name, shown, content in files:
            if content is None:
                nested.append(shown)
                continue
            if isinstance(content, Problem):
                read.append(FileJobs(problems=(content,), is_readable=False))
                continue
            schedule = default_schedule.text if default_schedule is not None else "none"
            replaced = sorted((substitutions or {}).items())
            key = f"{name} {hashlib.sha256(content).hexdigest()} {replaced} {schedule} {presets.digest}"
            now[key] = before.get(key) or parse_file(
                content, shown, PurePath(name).stem, substitutions, shared, default_schedule, self._environ, presets
            )
            read.append(now[key])
        self._cache[place] = now  # drops removed files
        jobs = join_files(read, folder="" if isinstance(place, str) else _folder_of(place))
        shown_place = place if isinstance(place, str) else self._display_name(place)
        warnings = (*location_warnings(shown_place, len(jobs), nested), *jobs.warnings)
        digest = make_digest([*now, presets.digest] if presets.own else now)
        return replace(jobs, digest=digest, warnings=warnings, presets=presets)

    def _find_nested(self, place: Path) -> Iterator[JobFile]:
        """Yield the job files in sub-folders, except the samples of the program."""
        samples = {(root / "config" / "jobs" / "samples").resolve() for root in (self._root, _PROGRAM_FOLDER)}
        for file in find_nested_job_files(place):
            if file.parent.resolve() not in samples and file.parent != place / PRESETS_FOLDER:
                yield JobFile(file.name, self._display_name(file), None)

    def _read_presets(self, place: Path) -> Iterator[JobFile]:
        folder = presets_folder(place)
        for file in self.list_files(folder) if folder.is_dir() else ():
            one = self._read_file(file)
            yield JobFile(f"{PRESETS_FOLDER}/{one.name}", one.display_name, one.content)

    def read_presets(self, place: Path) -> tuple[PresetLibrary, tuple[Problem, ...]]:
        """Return the presets next to the job files of a place, and everything that is wrong with the others."""
        return check_own_presets(self._read_presets(place))

    def _read_file(self, file: Path) -> JobFile:
        shown = self._display_name(file)
        try:
            return JobFile(file.name, shown, read_file(file, shown))
        except UnreadableFile as error:
            return JobFile(file.name, shown, error.problem)

    def list_files(self, place: Path) -> list[Path]:
        """The job files there, in order. Raises ConfigurationError."""
        try:
            if os.path.isdir(place):
                return sorted(file for file in place.iterdir() if is_job_file(file.name) and not file.is_dir())
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise ConfigurationError(
                [Problem("", f"cannot be listed: {reason}", file=self._display_name(place))]
            ) from None
        if place.suffix.lower() not in JOB_FILE_SUFFIXES and os.path.exists(place):
            message = f"is not a job file: expected a name that ends in {' '.join(JOB_FILE_SUFFIXES)}"
            raise ConfigurationError([Problem("", message, file=self._display_name(place))])
        return [place]

    def _display_name(self, file: Path) -> str:
        return str(file.relative_to(self._root) if file.is_relative_to(self._root) else file)


def presets_folder(place: Path) -> Path:
    """Return the folder of users' presets next to the job files of a folder, or next to one job file."""
    return (place if os.path.isdir(place) else place.parent) / PRESETS_FOLDER


def check_own_presets(files: Iterable[JobFile]) -> tuple[PresetLibrary, tuple[Problem, ...]]:
    """Return users' presets, and everything that is wrong with them, also with the jobs that they make."""
    contents: dict[str, bytes] = {}

    def read() -> Iterator[tuple[str, bytes | Problem]]:
        for _, shown, content in files:
            if isinstance(content, bytes):
                contents[shown] = content
            if content is not None:
                yield shown, content

    library, problems = read_own_presets(read())
    context = DefinitionContext(None, PartInterner(), time.time_ns() // 1_000_000, {}, None, library)
    for name, preset in library.own.items():
        if findings := check_preset(preset, lambda entry: define_job(entry, context)):
            shown = library.files[name]
            document = parse_document(contents[shown], shown)  # it was read: for the lines
            problems += tuple(map(document.problem, findings))
    return library, problems


def _folder_of(place: Path) -> str:
    return os.path.abspath(place if os.path.isdir(place) else place.parent)


def parse_file(
    content: bytes,
    shown: str,
    stem: str,
    substitutions: Mapping[str, str] | None,
    interner: PartInterner,
    default_schedule: Schedule | None,
    environ: Mapping[str, str],
    presets: PresetLibrary = NO_OWN_PRESETS,
) -> FileJobs:
    """Return the jobs of one file, and everything that is wrong with it alone. `shown`: JSON if it ends in .json."""
    try:
        document = parse_document(content, shown, substitutions=substitutions)
    except UnreadableFile as error:
        return _unreadable_file(error)
    return check_document(document, stem, interner, default_schedule, environ, presets)


def check_document(
    document: Document,
    stem: str,
    interner: PartInterner,
    default_schedule: Schedule | None,
    environ: Mapping[str, str],
    presets: PresetLibrary = NO_OWN_PRESETS,
) -> FileJobs:
    """Return the jobs of a parsed file, and everything that is wrong with it alone."""
    entries = find_entries(document.value, stem)
    findings = list(entries.findings)
    warnings: list[Finding] = []
    now_ms = time.time_ns() // 1_000_000
    context = DefinitionContext(entries.defaults, interner, now_ms, environ, default_schedule, presets)
    lines = replace(document, value=None)
    jobs: list[LocatedJob] = []
    broken: list[str] = []
    containers: dict[KeyPath, KeyPath] = {}
    for number, entry in enumerate(entries.jobs):
        if len(findings) >= _MAX_FINDINGS_PER_FILE:
            unread = entries.jobs[number:]
            findings.append(Finding((), f"has {len(unread)} more jobs, which are checked once these are fixed"))
            broken += [name for one in unread for name in find_job_name(one)]
            break
        defined = define_job(entry, context)
        if isinstance(defined, DefinedJob):
            line = document.entry_line_of(entry.path)
            container, step = (entry.path[:-1], entry.path[-1]) if entry.path else ((), None)
            container = containers.setdefault(container, container)
            places = lines if defined.uses or _refers_to_others(defined.job) else None
            jobs.append(LocatedJob(defined.job, document.file, line, container, step, places, defined.uses))
            warnings += defined.warnings
        else:
            findings += defined
            broken += find_job_name(entry)
    return FileJobs(
        tuple(jobs),
        _locate_problems(document, findings),
        _sort_problems(document, warnings),
        _list_groups(document, entries.groups),
        tuple(broken),
        alerting=tuple(LocatedEntry(one, lines) for one in entries.alerting.entries),
        invalid_alerting=entries.alerting.invalid,
    )


def _list_groups(document: Document, groups: Mapping[str, GroupMembers]) -> tuple[DeclaredGroup, ...]:
    return tuple(
        DeclaredGroup(name, members, document.file, document.entry_line_of((GROUPS_KEY, name)))
        for name, members in groups.items()
    )


def _locate_problems(document: Document, findings: Iterable[Finding]) -> tuple[Problem, ...]:
    problems = document.duplicate_problems()
    problems += [document.problem(finding) for finding in dict.fromkeys(findings)]
    return tuple(sorted(problems, key=lambda problem: problem.line or 1))


def _sort_problems(document: Document, warnings: Iterable[Finding]) -> tuple[Problem, ...]:
    """Remove duplicates: several jobs can have the same warning from the same defaults."""
    problems = [document.problem(finding) for finding in dict.fromkeys(warnings)]
    return tuple(sorted(problems, key=lambda problem: problem.line or 1))


def _refers_to_others(job: JobDefinition) -> bool:
    shares_circuit = job.circuit is not None and job.circuit.group is not None
    has_alerts = bool(job.alerts or job.alert_parent or job.slo)
    return bool(job.depends_on) or job.concurrency_group is not None or shares_circuit or has_alerts


def _unreadable_file(error: UnreadableFile) -> FileJobs:
    return FileJobs(problems=(error.problem,), is_readable=False)
