"""The jobs of a working copy: of job files, or of a desired set of stored jobs. Used by `plan` and `drift`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from scheduler.cli.output import fail

if TYPE_CHECKING:
    from config.desired_sets import DesiredSet
    from config.job_files.job_set import JobSet
    from jobs.definition import JobDefinition
    from jobs.definition.alerting_section import AlertingDefinitions
    from jobs.schedules import Schedule


@dataclass(frozen=True, slots=True)
class WorkingCopy:
    """`jobs`: by name. `desired`: the set with its `owner`; None: the files are job files of a scheduler.

    `files`: all that these job files define.
    """

    jobs: Mapping[str, JobDefinition]
    owner: str = ""
    desired: DesiredSet | None = None
    files: JobSet | None = field(default=None, repr=False)

    @property
    def alerting(self) -> AlertingDefinitions | None:
        """What the job files define in their sections `alerting`; None of a set."""
        return None if self.files is None else self.files.alerting


def read_working_copy(places: Sequence[Path], owner: str | None, default_schedule: Schedule | None) -> WorkingCopy:
    """Read job files, or with an owner a set; every problem is printed, and ends the command with 2."""
    from config.errors import ConfigurationError, format_problems

    read: Callable[[], WorkingCopy]
    if owner is None:
        read = lambda: _read_files(places, default_schedule)  # noqa: E731 - one of two ways to read
    else:
        check_owner(owner)
        read = lambda: _read_set(places, owner, default_schedule)  # noqa: E731
    try:
        return read()
    except ConfigurationError as error:
        fail(format_problems(error.problems))


def check_owner(owner: str) -> None:
    """End the command with 2 unless this is the name of a set."""
    from jobs.definition import NAME_PATTERN

    if not re.fullmatch(NAME_PATTERN, owner):
        fail(f"--set: expected letters, digits, '.', '_' and '-', at most 100 characters, got {owner!r}")


def read_default_schedule() -> Schedule | None:
    """Return the default schedule of this machine's settings, of which --url needs nothing else.

    Invalid settings end the command with 2.
    """
    from config.errors import ConfigurationError, format_problems
    from config.settings.loading import load_settings
    from scheduler.cli.context import ROOT

    try:
        return load_settings(os.environ, root=ROOT).settings.default_schedule
    except ConfigurationError as error:
        fail(format_problems(error.problems))


def _read_files(places: Sequence[Path], default_schedule: Schedule | None) -> WorkingCopy:
    from config.job_files.reader import JobFileReader

    if len(places) != 1:
        fail("without --set, give one folder of job files, or one file, as SCHEDULER_JOBS does")
    found = JobFileReader(Path.cwd()).read(places[0], default_schedule=default_schedule)
    return WorkingCopy(found.jobs, files=found)


def _read_set(places: Sequence[Path], owner: str, default_schedule: Schedule | None) -> WorkingCopy:
    from config.desired_sets import read_desired_set
    from config.stored_jobs import LocatedStoredJob, StoredJobDefiner

    desired = read_desired_set(places, Path.cwd(), default_schedule)
    definer = StoredJobDefiner(default_schedule)
    defined = ((name, definer.define(name, definition)) for name, definition in desired.definitions.items())
    return WorkingCopy({name: one.job for name, one in defined if isinstance(one, LocatedStoredJob)}, owner, desired)
