"""Puts the whole configuration together. Called by scheduler.app and the CLI.

    configuration = load_configuration(os.environ, root=project_folder)

All problems of settings and job files are in one ConfigurationError, before anything is started. Commands that only
read the store take the valid part, so that they work during an incident, too; the settings of the store and its
credentials must be valid: such a command would read another store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from config.errors import ConfigurationError
from config.settings.loading import JOBS_VARIABLE, LoadedSettings, load_settings
from config.settings.model import Settings
from config.settings.variables import FILE_SUFFIX, VARIABLE_PREFIX, variable_path
from jobs.problems import KeyPath as KeyPath
from jobs.problems import Problem
from jobs.problems.findings import suggest_name

if TYPE_CHECKING:
    from config.job_files.reader import JobFile, JobFileReader, JobSet

SAMPLE_TARGET = "http://127.0.0.1:7072"
"""The default target of the sample jobs."""

_SAMPLES_VARIABLE = "SCHEDULER_SAMPLES"
_LOCATION_HINT = "it is a folder with .yaml, .yml or .json files, or one such file"


@dataclass(frozen=True, slots=True)
class Configuration:
    settings: Settings
    jobs: JobSet
    loaded: LoadedSettings = field(repr=False)
    job_loader: JobLoader = field(repr=False)
    """To read the jobs again."""
    problems: tuple[Problem, ...] = ()
    """Problems; empty except for config.loading, which skips the invalid parts."""


@dataclass(frozen=True, slots=True)
class JobLoader:
    """The location of the jobs, and how they are read."""

    loaded: LoadedSettings
    reader: JobFileReader
    root: Path
    sample_target: str | None

    def load(self, files: Sequence[JobFile] | None = None) -> JobSet:
        """Load the jobs of these settings.

        `files`: of the container, if the settings name one; fetched if they are not handed in. Raises: as load_jobs.
        """
        return load_jobs(self.loaded, self.reader, root=self.root, sample_target=self.sample_target, files=files)


def load_configuration(
    environ: Mapping[str, str],
    *,
    root: Path,
    sample_target: str | None = SAMPLE_TARGET,
    reader: JobFileReader | None = None,
) -> Configuration:
    """Settings and jobs. `root` is the folder with config/ in it; hand in the same `reader` to read again quickly.

    `sample_target` is the URL of the sample jobs' target; None: no sample jobs, for hosts without such a target.

    Raises:
        ConfigurationError: with every problem of the settings and of the job files.
    """
    from config.job_files.reader import JobFileReader

    reader = reader or JobFileReader(root, environ)
    try:
        loaded = load_settings(environ, root=root)
    except ConfigurationError as error:
        raise ConfigurationError([*error.problems, *_check_job_files(environ, reader)]) from None
    place = JobLoader(loaded, reader, root, sample_target)
    return Configuration(loaded.settings, place.load(), loaded, place)


def _check_job_files(environ: Mapping[str, str], reader: JobFileReader) -> tuple[Problem, ...]:
    """Return the problems of the job files if the settings are invalid too, so that all are reported together."""
    place = environ.get(JOBS_VARIABLE, "").strip()
    if not place:
        return ()
    if not os.path.exists(place):
        return (Problem(JOBS_VARIABLE, f"{place} does not exist", _LOCATION_HINT),)
    try:
        reader.read(Path(place).absolute())
    except ConfigurationError as error:
        return error.problems
    return ()


def load_jobs(
    loaded: LoadedSettings,
    reader: JobFileReader,
    *,
    root: Path,
    sample_target: str | None = SAMPLE_TARGET,
    files: Sequence[JobFile] | None = None,
) -> JobSet:
    """The jobs of the place that the settings name, and the sample jobs if there is a target for them.

    With the setting `samples` they are added while the user has no jobs: SCHEDULER_JOBS is not set and the folder of
    the settings is empty. With SCHEDULER_SAMPLES=true they are always added; the user's job overrides a sample of the
    same name.

    Raises:
        ConfigurationError: with every problem of every file.
    """
    settings = loaded.settings
    own = _load_own_jobs(loaded, reader, files)
    variables = {JOBS_VARIABLE, _SAMPLES_VARIABLE} & {loaded.find_origin("jobs"), loaded.find_origin("samples")}
    named = variables or settings.jobs_container is not None
    are_requested = _SAMPLES_VARIABLE in variables or (len(own) == 0 and not named)
    if sample_target is None or not (settings.samples and are_requested):
        return own
    samples = reader.read(
        root / "config" / "jobs" / "samples",
        substitutions={"SAMPLE_TARGET": sample_target},
        default_schedule=settings.default_schedule,
    )
    # A place without jobs is what the samples are for: no warning.
    own = own if len(own) else replace(own, warnings=())
    return replace(samples, samples=frozenset(samples.jobs)).overridden_by(own)


def _load_own_jobs(loaded: LoadedSettings, reader: JobFileReader, files: Sequence[JobFile] | None) -> JobSet:
    container = loaded.settings.jobs_container
    if container is not None:
        if files is None:
            from config.job_files.container import fetch_job_files

            files = fetch_job_files(loaded.settings)
        presets = [file for file in files if file.is_preset]
        files = [file for file in files if not file.is_preset]
        return reader.parse(container, files, presets, default_schedule=loaded.settings.default_schedule)
    place = loaded.settings.jobs
    if place is None:
        from config.job_files.reader import JobSet

        return JobSet()
    if not os.path.exists(place):
        raise ConfigurationError([loaded.problem(("jobs",), f"{place} does not exist", _LOCATION_HINT)])
    return reader.read(place, default_schedule=loaded.settings.default_schedule)


STORE_SETTINGS = frozenset({"environment", "store", "storage", "managed_identity_client_id", "unresolved"})
"""With an invalid value of one of these, another store would be used."""


def load_usable_configuration(
    environ: Mapping[str, str], *, root: Path, sample_target: str | None = SAMPLE_TARGET
) -> Configuration:
    """Load settings and jobs; `problems` of the result holds everything that is wrong.

    An invalid setting has the value of the next layer. Invalid jobs are skipped.

    Raises:
        ConfigurationError: a setting of the store is wrong; with every problem of the settings.
    """
    from config.job_files.reader import JobFileReader, JobSet

    loaded, problems = load_usable_settings(environ, root=root)
    place = JobLoader(loaded, JobFileReader(root, environ), root, sample_target)
    try:
        jobs = place.load()
    except ConfigurationError as error:
        problems += error.problems
        jobs = error.usable or JobSet()
    return Configuration(loaded.settings, jobs, loaded, place, tuple(problems))


def load_usable_settings(environ: Mapping[str, str], *, root: Path) -> tuple[LoadedSettings, list[Problem]]:
    """Load the settings alone, and everything that is wrong with them. Raises as load_usable_configuration."""
    ignored: list[Problem] = []
    while True:
        try:
            return load_settings(environ, root=root, ignored=ignored), ignored
        except ConfigurationError as error:
            # The value of the next layer may be wrong too, so this takes one round for each layer at most.
            found = list(dict.fromkeys([*ignored, *error.problems]))
            if len(found) == len(ignored) or any(_setting_of(problem) in STORE_SETTINGS for problem in error.problems):
                raise ConfigurationError(found) from None
            ignored = found


def _setting_of(problem: Problem) -> str:
    """The first part of the setting's name, such as `storage`; of an unknown name, that of the nearest setting.

    A file that cannot be read may hold the setting of the store.
    """
    if not problem.key or problem.key.startswith("AzureWebJobsStorage"):
        return "store"
    path = variable_path(problem.key) or variable_path(problem.key.removesuffix(FILE_SUFFIX))
    name = (
        str(path[0]) if path else problem.key.removeprefix(VARIABLE_PREFIX).partition("__")[0].partition(".")[0].lower()
    )
    return name if name in Settings.model_fields else suggest_name(name, Settings.model_fields) or ""
