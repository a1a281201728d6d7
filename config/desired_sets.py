"""Reads a desired set of stored jobs from files. Called by the commands `plan` and `apply`.

The files have the form of job files. They are validated one by one: whether their jobs fit to the jobs in force is
checked by scheduler.features.stored_jobs.sets.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from config.documents.document import UnreadableFile, parse_document, read_file
from config.errors import ConfigurationError
from config.job_files.entries import PartInterner
from config.job_files.reader import JobFileReader, check_document
from config.presets.library import NO_OWN_PRESETS, PresetLibrary
from config.presets.preset import Preset
from config.stored_jobs import read_written_jobs
from jobs.problems import Problem
from jobs.schedules import Schedule


@dataclass(frozen=True, slots=True)
class DesiredSet:
    """Definitions by name, with the defaults of their files. `origins`: file and line of each job."""

    definitions: Mapping[str, Mapping[str, Any]]
    origins: Mapping[str, tuple[str, int]]
    presets: PresetLibrary = NO_OWN_PRESETS

    @property
    def document(self) -> Mapping[str, Any]:
        """The set as the API accepts it."""
        return {"jobs": self.definitions}

    def locate(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """Add file and line to problems whose key names a job, such as `jobs.reports-api.check.url`."""
        for problem in problems:
            name = self._find_name(problem.key)
            if problem.file or name is None:
                yield problem
            else:
                file, line = self.origins[name]
                yield replace(problem, file=file, line=line)

    def _find_name(self, key: str) -> str | None:
        """Return the job in a key. A name can contain dots."""
        parts = key.split(".")[1:]
        starts = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
        return next((start for start in starts if start in self.origins), None)


def read_desired_set(
    places: Sequence[Path], root: Path, default_schedule: Schedule | None, environ: Mapping[str, str] | None = None
) -> DesiredSet:
    """Read files, and the files of folders. `root`: paths in problems are relative to it.

    Raises ConfigurationError: with every problem of every file.
    """
    reader = _SetReader(root, default_schedule, os.environ if environ is None else environ)
    own: dict[str, Preset] = {}
    lister = JobFileReader(root)
    for place in places:
        try:
            files = lister.list_files(place)
        except ConfigurationError as error:
            reader.problems += error.problems
            continue
        reader.presets, problems = lister.read_presets(place)
        own |= reader.presets.own
        reader.problems += problems
        if not files:
            reader.problems.append(Problem("", "the folder has no job file", file=str(place)))
        for file in files:
            reader.add(file)
    if reader.problems:
        raise ConfigurationError(reader.problems)
    return DesiredSet(reader.definitions, reader.origins, PresetLibrary(own))


class _SetReader:
    def __init__(self, root: Path, default_schedule: Schedule | None, environ: Mapping[str, str]) -> None:
        self._root = root
        self._default_schedule = default_schedule
        self._environ = environ
        self._interner = PartInterner()
        self.presets = NO_OWN_PRESETS
        self.definitions: dict[str, Mapping[str, Any]] = {}
        self.origins: dict[str, tuple[str, int]] = {}
        self.problems: list[Problem] = []

    def add(self, file: Path) -> None:
        shown = str(file.relative_to(self._root) if file.is_relative_to(self._root) else file)
        try:
            document = parse_document(read_file(file, shown), shown)
        except UnreadableFile as error:
            self.problems.append(error.problem)
            return
        checked = check_document(
            document, file.stem, self._interner, self._default_schedule, self._environ, self.presets
        )
        written = read_written_jobs(document.value, document, file.stem, self.presets)
        problems = dict.fromkeys((*checked.problems, *written.problems))
        self.problems += problems
        if problems:
            return
        lines = {one.job.name: one.line for one in checked.jobs}
        for name, definition in written.definitions.items():
            if name in self.origins:
                first = ":".join(map(str, self.origins[name]))
                self.problems.append(
                    Problem(name, f"is also defined in {first}", "rename one of them", shown, lines[name])
                )
            self.definitions[name] = definition
            self.origins[name] = shown, lines[name]
