"""The valid part of a configuration that has problems. Called by the command line.

Commands that only read the store work during an incident too, with an invalid job file or setting. The settings of the
store and its credentials must be valid: the command would read another store.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from config.errors import ConfigurationError
from config.loading import SAMPLE_TARGET, Configuration, JobLoader
from config.settings.loading import LoadedSettings, load_settings
from config.settings.model import Settings
from config.settings.variables import VARIABLE_PREFIX, variable_path
from config.value_files.expansion import FILE_SUFFIX
from jobs.problems import Problem
from jobs.problems.findings import suggest_name

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
