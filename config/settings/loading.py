"""Merges the layers of settings and validates the result: all of them, or those that telemetry needs while others are
wrong, because else a configuration that cannot be used would be reported on the console alone. Lists the settings in
force with their origins, without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr, ValidationError

from config.documents.document import UnreadableFile
from config.errors import ConfigurationError
from config.outbound import build_outbound
from config.settings.http_settings import OPEN_ENVIRONMENTS
from config.settings.layers import (
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
from config.settings.variables import ENVIRONMENT_VARIABLE, SECRET_PREFIX
from jobs.problems import Finding, Problem, describe_wrong_choice, validation_findings
from jobs.problems import KeyPath as KeyPath

JOBS_VARIABLE = "SCHEDULER_JOBS"


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
    settings = _with_absolute_paths(settings, layers)
    return settings, [*_find_contradictions(settings, layers), *_check_outbound(settings, layers)]


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
    spool, otlp = settings.telemetry.spool, settings.otlp
    if spool.folder is not None and (layer := find_layer(("telemetry", "spool", "folder"), layers)) is not None:
        spool = spool.model_copy(update={"folder": layer.base / spool.folder})
        changes["telemetry"] = settings.telemetry.model_copy(update={"spool": spool})
    if otlp.ca_file is not None and (layer := find_layer(("otlp", "ca_file"), layers)) is not None:
        changes["otlp"] = otlp.model_copy(update={"ca_file": layer.base / otlp.ca_file})
    ca_file = settings.outbound.ca_file
    if ca_file is not None and (layer := find_layer(("outbound", "ca_file"), layers)) is not None:
        changes["outbound"] = settings.outbound.model_copy(update={"ca_file": layer.base / ca_file})
    return settings.model_copy(update=changes)


def _check_outbound(settings: Settings, layers: tuple[SettingsLayer, ...]) -> Iterator[Problem]:
    """Yield the problem of a CA file that cannot be used."""
    try:
        build_outbound(settings)
    except ConfigurationError as error:
        for each in error.problems:
            yield _locate_problem(layers, Finding(("outbound", "ca_file"), each.message, each.hint))


def _find_contradictions(settings: Settings, layers: tuple[SettingsLayer, ...]) -> list[Problem]:
    """Find problems of several settings together."""
    if settings.http.authentication == "open" and settings.environment not in OPEN_ENVIRONMENTS:
        hint = "write own, and make a key with `keys create NAME --role admin`"
        message = f"open is for {' and '.join(OPEN_ENVIRONMENTS)}, not for {settings.environment}"
        return [_locate_problem(layers, Finding(("http", "authentication"), message, hint))]
    storage = settings.storage
    reachable = storage.connection_string or storage.account_name or (storage.table_url and storage.queue_url)
    if settings.uses_azure_storage and not reachable and not settings.unresolved:
        hint = "set AzureWebJobsStorage (a connection string) or AzureWebJobsStorage__accountName"
        return [_locate_problem(layers, Finding(("store",), "azure needs a storage account", hint))]
    if settings.jobs_container is not None and find_origin(("jobs",), layers) == JOBS_VARIABLE:
        hint = f"set {JOBS_VARIABLE} or the container, not both"
        return [
            _locate_problem(
                layers, Finding(("jobs_container",), f"{JOBS_VARIABLE} sets another location of jobs", hint)
            )
        ]
    return []


_TELEMETRY_GROUPS = (
    "environment",
    "version",
    "service_name",
    "log",
    "application_insights",
    "datadog",
    "otlp",
    "outbound",
    "telemetry",
)


def load_telemetry_settings(environ: Mapping[str, str], *, root: Path) -> Settings:
    """Return the settings, or, if they are wrong, those of telemetry that the environment variables hold.

    A group of these that is wrong itself has its defaults. Never raises ConfigurationError.
    """
    with suppress(ConfigurationError):
        return load_settings(environ, root=root).settings
    environment = find_environment(environ, root=root)
    layer, _ = read_variable_layer(environ, environment, Path.cwd())
    values, _ = split_unresolved(layer)
    usable: dict[str, object] = {}
    for name in _TELEMETRY_GROUPS:
        if name in values:
            with suppress(ValidationError):
                Settings.model_validate({name: values[name]})
                usable[name] = values[name]
    return Settings.model_validate(usable)


SET, NOT_SET = "set", "not set"
_BASE_FILE: Final = Path(__file__).parent.parent / "environments" / "base.yaml"
_BASE_NAME: Final = "environments/base.yaml:"
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s]+@")
"""A user name or a password in a URL."""
_INTERNAL: Final = ("unresolved",)
"""Fields of the model that no file and no variable sets."""
_KEY: Final = re.compile(r"([a-z_]+):")


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """`path`: such as ("log", "level"). `origin`: see LoadedSettings.find_origin. `value`: `set` for a secret."""

    path: tuple[str, ...]
    value: str
    origin: str
    is_default: bool
    is_secret: bool


def list_settings(loaded: LoadedSettings) -> Iterator[EffectiveSetting]:
    """Yield each setting in the order of the model."""
    yield from _list_fields(loaded, loaded.settings, ())


def read_descriptions() -> Mapping[str, str]:
    """Return the description of each group of settings: the comment before it in base.yaml."""
    try:
        lines = _BASE_FILE.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    descriptions: dict[str, str] = {}
    comment: list[str] = []
    for line in lines:
        if line.startswith("#"):
            comment.append(line.removeprefix("# "))
            continue
        if (key := _KEY.match(line)) is not None and comment:
            descriptions[key[1]] = _join_lines(comment)
        comment = []
    return descriptions


def _join_lines(lines: Sequence[str]) -> str:
    """Join the lines of a paragraph; an indented line and the one after it are separate lines."""
    text, was_indented = "", False
    for line in lines:
        is_indented = line.startswith(" ")
        text += ("\n" if is_indented or was_indented else " ") + " ".join(line.split())
        was_indented = is_indented
    return text.strip().replace("`", "")


def _list_fields(loaded: LoadedSettings, model: BaseModel, path: tuple[str, ...]) -> Iterator[EffectiveSetting]:
    as_json: dict[str, Any] = model.model_dump(mode="json")
    for name in type(model).model_fields:
        if name in _INTERNAL:
            continue
        value, full = getattr(model, name), (*path, name)
        if isinstance(value, BaseModel):
            yield from _list_fields(loaded, value, full)
            continue
        is_secret = isinstance(value, SecretStr) or _can_be_secret(model, name)
        origin = loaded.find_origin(*full)
        yield EffectiveSetting(
            full,
            _describe_secret(value) if is_secret else _to_text(as_json[name]),
            origin,
            is_default=origin.startswith("default of ") or _BASE_NAME in origin,
            is_secret=is_secret,
        )


def _can_be_secret(model: BaseModel, name: str) -> bool:
    """Return whether the setting is a secret when it is set."""
    return "SecretStr" in str(type(model).model_fields[name].annotation)


def _describe_secret(value: object) -> str:
    return NOT_SET if value is None else SET


def _to_text(value: Any) -> str:
    """Return the text of a value. Of a URL no user and password is part of it, although no setting accepts them."""
    if value is None:
        return NOT_SET
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _USER_INFO.sub("***@", text)
