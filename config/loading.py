"""Puts the whole configuration together. Called by scheduler.app and the CLI.

    configuration = load_configuration(os.environ, root=project_folder)

All problems of settings and job files are in one ConfigurationError, before anything is started.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from config.documents.document import UnreadableFile
from config.errors import ConfigurationError
from config.settings.layers import (
    ENVIRONMENT_VARIABLE,
    SECRET_PREFIX,
    SettingsLayer,
    find_layer,
    find_origin,
    is_unresolved,
    list_environments,
    merge_layers,
    read_file_layer,
    read_variable_layer,
    split_unresolved,
    unresolved_message,
)
from config.settings.model import Settings
from jobs.problems import Finding, Problem, describe_wrong_choice, validation_findings
from jobs.problems import KeyPath as KeyPath

if TYPE_CHECKING:
    from config.job_files.reader import JobFile, JobFileReader, JobSet

SAMPLE_TARGET = "http://127.0.0.1:7072"
"""The default target of the sample jobs."""

_JOBS_VARIABLE = "SCHEDULER_JOBS"
_SAMPLES_VARIABLE = "SCHEDULER_SAMPLES"
_LOCATION_HINT = "it is a folder with .yaml, .yml or .json files, or one such file"

_AZURE_VARIABLES = ("WEBSITE_INSTANCE_ID", "CONTAINER_APP_NAME")
"""Variables of App Service (and Functions) and Container Apps, which are not used for development."""


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings, and the origin of each value."""

    settings: Settings
    layers: tuple[SettingsLayer, ...] = field(repr=False)

    def find_origin(self, *path: str) -> str:
        """Where a value stands: for ("log", "level") `SCHEDULER_LOG__LEVEL` or `config/environments/dev.yaml:3`."""
        return find_origin(path, self.layers)

    def problem(self, path: KeyPath, message: str, hint: str = "") -> Problem:
        """A problem with a setting, at the place where its value stands."""
        return _locate_problem(self.layers, Finding(path, message, hint))


@dataclass(frozen=True, slots=True)
class Configuration:
    settings: Settings
    jobs: JobSet
    loaded: LoadedSettings = field(repr=False)
    job_loader: JobLoader = field(repr=False)
    """To read the jobs again."""
    problems: tuple[Problem, ...] = ()
    """Problems; empty except for config.usable, which skips the invalid parts."""


@dataclass(frozen=True, slots=True)
class JobLoader:
    """The location of the jobs, and how they are read."""

    loaded: LoadedSettings
    reader: JobFileReader
    root: Path
    sample_target: str | None

    def load(self, files: Sequence[JobFile] | None = None) -> JobSet:
        """See load_jobs. `files`: of the container, if the settings name one; fetched if they are not handed in."""
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
    place = environ.get(_JOBS_VARIABLE, "").strip()
    if not place:
        return ()
    if not os.path.exists(place):
        return (Problem(_JOBS_VARIABLE, f"{place} does not exist", _LOCATION_HINT),)
    try:
        reader.read(Path(place).absolute())
    except ConfigurationError as error:
        return error.problems
    return ()


def load_settings(environ: Mapping[str, str], *, root: Path, ignored: Collection[Problem] = ()) -> LoadedSettings:
    """Merge the layers. `ignored`: values with these problems are skipped. Raises ConfigurationError."""
    problems: list[Problem] = []
    left_out = {problem.key for problem in ignored if problem.file is None}
    environ = {name: value for name, value in environ.items() if name not in left_out}
    environment = _choose_environment(environ, root / "config" / "environments", problems)
    variables, unknown = read_variable_layer(environ, environment, Path.cwd())
    layers: list[SettingsLayer] = [variables]
    for name in (environment, "base"):
        try:
            layer = read_file_layer(root / "config" / "environments" / f"{name}.yaml", root)
            problems += [problem for problem in layer.document.duplicate_problems() if problem not in ignored]
            layers.append(layer.without_problems(ignored))
        except UnreadableFile as error:
            problems.append(error.problem)
    settings, wrong = _build_settings(tuple(layers), environ)
    problems += [*wrong, *unknown]
    if settings is None or problems:
        raise ConfigurationError(problems)
    return LoadedSettings(settings, tuple(layers))


def _choose_environment(environ: Mapping[str, str], folder: Path, problems: list[Problem]) -> str:
    """Return the environment's name; by default prod on Azure and dev elsewhere."""
    chosen = environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if not chosen:
        return "prod" if any(environ.get(name) for name in _AZURE_VARIABLES) else "dev"
    present = list_environments(folder)
    if chosen not in present:
        message, hint = describe_wrong_choice(chosen, present)
        problems.append(Problem(ENVIRONMENT_VARIABLE, message, f"{hint} (the files in config/environments)"))
        return "dev"
    return chosen


def find_environment(environ: Mapping[str, str], *, root: Path) -> str:
    """Return the environment's name; `dev` for one that does not exist."""
    return _choose_environment(environ, root / "config" / "environments", [])


def _build_settings(
    layers: tuple[SettingsLayer, ...], environ: Mapping[str, str]
) -> tuple[Settings | None, list[Problem]]:
    """Merge and validate the layers; return the settings or their problems."""
    sources: list[dict[str, Any]] = []
    unresolved = [unresolved_message(name) for name in sorted(environ) if _is_unresolved_secret(name, environ[name])]
    for layer in layers:
        values, sentences = split_unresolved(layer)
        sources.append(values)
        unresolved += sentences
    values = {**merge_layers(sources), "unresolved": tuple(unresolved)}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        findings = validation_findings(error.errors(include_url=False), Settings)
        return None, [_locate_problem(layers, finding) for finding in findings]
    return _with_absolute_paths(settings, layers), _find_contradictions(settings, layers)


def _is_unresolved_secret(name: str, value: str) -> bool:
    return name.upper().startswith(SECRET_PREFIX) and is_unresolved(value)


def _locate_problem(layers: tuple[SettingsLayer, ...], finding: Finding) -> Problem:
    """The finding at the place of the strongest layer that has the value."""
    layer = find_layer(finding.path, layers)
    return layer.problem(finding) if layer is not None else finding.to_problem()


def _with_absolute_paths(settings: Settings, layers: tuple[SettingsLayer, ...]) -> Settings:
    """Relative paths start from the working folder in a variable, and from the root in a file."""
    changes: dict[str, Any] = {}
    if settings.jobs is not None and (layer := find_layer(("jobs",), layers)) is not None:
        changes["jobs"] = layer.base / settings.jobs
    if settings.secrets_folder is not None and (layer := find_layer(("secrets_folder",), layers)) is not None:
        changes["secrets_folder"] = layer.base / settings.secrets_folder
    if settings.sqlite_path is not None and (layer := find_layer(("store",), layers)) is not None:
        changes["store"] = f"sqlite:///{layer.base / settings.sqlite_path}"
    return settings.model_copy(update=changes)


def _find_contradictions(settings: Settings, layers: tuple[SettingsLayer, ...]) -> list[Problem]:
    """Find problems of several settings together."""
    storage = settings.storage
    reachable = storage.connection_string or storage.account_name or (storage.table_url and storage.queue_url)
    if settings.uses_azure_storage and not reachable and not settings.unresolved:
        hint = "set AzureWebJobsStorage (a connection string) or AzureWebJobsStorage__accountName"
        return [_locate_problem(layers, Finding(("store",), "azure needs a storage account", hint))]
    if settings.jobs_container is not None and find_origin(("jobs",), layers) == _JOBS_VARIABLE:
        hint = f"set {_JOBS_VARIABLE} or the container, not both"
        return [
            _locate_problem(
                layers, Finding(("jobs_container",), f"{_JOBS_VARIABLE} sets another location of jobs", hint)
            )
        ]
    return []


def load_jobs(
    loaded: LoadedSettings,
    reader: JobFileReader,
    *,
    root: Path,
    sample_target: str | None = SAMPLE_TARGET,
    files: Sequence[JobFile] | None = None,
) -> JobSet:
    """The jobs of the place that the settings name, and the sample jobs if there is a target for them.

    With the setting `samples` they are added while the user has no jobs: SCHEDULER_JOBS is not set and the folder of the
    settings is empty. With SCHEDULER_SAMPLES=true they are always added; the user's job overrides a sample of the same
    name.

    Raises:
        ConfigurationError: with every problem of every file.
    """
    settings = loaded.settings
    own = _load_own_jobs(loaded, reader, files)
    variables = {_JOBS_VARIABLE, _SAMPLES_VARIABLE} & {loaded.find_origin("jobs"), loaded.find_origin("samples")}
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
        return reader.parse(container, files, default_schedule=loaded.settings.default_schedule)
    place = loaded.settings.jobs
    if place is None:
        from config.job_files.reader import JobSet

        return JobSet()
    if not os.path.exists(place):
        raise ConfigurationError([loaded.problem(("jobs",), f"{place} does not exist", _LOCATION_HINT)])
    return reader.read(place, default_schedule=loaded.settings.default_schedule)
