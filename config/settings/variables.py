"""The environment variables of settings: their names, the setting that each one sets, and secrets in files.

The variable NAME_FILE holds the path of a file with the value of NAME: Docker and Kubernetes mount secrets as files.
Reading blocks, but it does not wait for a named pipe. One id is enough for a user-assigned identity of Azure: the
Functions host requires AzureWebJobsStorage__clientId for its storage connection, and Azure's libraries read
AZURE_CLIENT_ID.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.settings.model import Settings
from jobs.checks.errors import FileTooLarge, NotRegularFile
from jobs.checks.files import FileSignature, read_regular_file
from jobs.problems import KeyPath as KeyPath
from jobs.problems import Problem
from jobs.problems.findings import did_you_mean, suggest_name

OWN_VARIABLE = "SCHEDULER_MANAGED_IDENTITY_CLIENT_ID"
HOST_VARIABLE = "AzureWebJobsStorage__clientId"
AZURE_VARIABLE = "AZURE_CLIENT_ID"
_RESOURCE_ID = "AzureWebJobsStorage__managedIdentityResourceId"

CLIENT_SECRET_VARIABLE = "AZURE_CLIENT_SECRET"
_SERVICE_PRINCIPAL = (
    CLIENT_SECRET_VARIABLE,
    f"{CLIENT_SECRET_VARIABLE}_FILE",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
)
"""With one of these, AZURE_CLIENT_ID is the id of a service principal."""


def without_service_principal(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without AZURE_CLIENT_ID if it names a service principal instead of a managed identity."""
    present = _present(environ)
    is_principal = any(name in present for name in _SERVICE_PRINCIPAL)
    return {name: value for name, value in environ.items() if not (is_principal and name.upper() == AZURE_VARIABLE)}


def identity_problems(environ: Mapping[str, str]) -> list[Problem]:
    """Find variables that name different identities, or one that the scheduler cannot use.

    `environ`: what `without_service_principal` returned.
    """
    present = _present(environ)
    if OWN_VARIABLE in present:
        return []
    host, azure = present.get(HOST_VARIABLE.upper()), present.get(AZURE_VARIABLE)
    if host is not None and azure is not None and host.lower() != azure.lower():
        hint = f"give both the same client id, or set {OWN_VARIABLE} to the one that the scheduler uses"
        return [Problem(HOST_VARIABLE, f"contains another client id than {AZURE_VARIABLE}", hint)]
    if host is None and azure is None and _RESOURCE_ID.upper() in present:
        message = "the scheduler needs the client id of the identity"
        return [Problem(_RESOURCE_ID, message, f"set {HOST_VARIABLE} in its place")]
    return []


def _present(environ: Mapping[str, str]) -> dict[str, str]:
    """Names in capitals; empty variables count as not set."""
    return {name.upper(): value.strip() for name, value in environ.items() if value.strip()}


VARIABLE_PREFIX = "SCHEDULER_"


SECRET_PREFIX = "SCHEDULER_SECRET_"
"""Variables that are secrets, read by config.secrets, not settings."""


ENVIRONMENT_VARIABLE = "SCHEDULER_ENVIRONMENT"


CLIENT_VARIABLES = frozenset({"SCHEDULER_API_KEY", "SCHEDULER_API_KEY_FILE"})
"""The key of commands that use the API of a running scheduler, see scheduler.cli.connection."""


WELL_KNOWN_VARIABLES: Mapping[str, KeyPath] = {
    "AzureWebJobsStorage": ("storage", "connection_string"),
    "AzureWebJobsStorage__accountName": ("storage", "account_name"),
    "AzureWebJobsStorage__tableServiceUri": ("storage", "table_url"),
    "AzureWebJobsStorage__queueServiceUri": ("storage", "queue_url"),
    "AzureWebJobsStorage__credential": ("storage", "credential"),
    HOST_VARIABLE: ("managed_identity_client_id",),
    AZURE_VARIABLE: ("managed_identity_client_id",),
    "APPLICATIONINSIGHTS_CONNECTION_STRING": ("application_insights", "connection_string"),
    "OTEL_SERVICE_NAME": ("service_name",),
    "DD_API_KEY": ("datadog", "api_key"),
    "DD_SITE": ("datadog", "site"),
    "DD_ENV": ("datadog", "env"),
    "DD_SERVICE": ("datadog", "service"),
    "DD_VERSION": ("datadog", "version"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("otlp", "endpoint"),
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ("otlp", "traces_endpoint"),
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": ("otlp", "metrics_endpoint"),
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": ("otlp", "logs_endpoint"),
    "OTEL_EXPORTER_OTLP_HEADERS": ("otlp", "headers"),
    "OTEL_EXPORTER_OTLP_COMPRESSION": ("otlp", "compression"),
    "OTEL_EXPORTER_OTLP_CERTIFICATE": ("otlp", "ca_file"),
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": ("otlp", "temporality"),
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": ("otlp", "histograms"),
}
"""Names of Azure, Datadog and OpenTelemetry. For one setting, a SCHEDULER_ variable wins, then the earlier name."""


_VARIABLE_RANKS = {name.upper(): rank for rank, name in enumerate(WELL_KNOWN_VARIABLES)}


def variable_precedence(name: str) -> tuple[bool, int, str]:
    """A sort key: where several variables set the same, the last one wins."""
    upper = name.upper()
    return upper.startswith(VARIABLE_PREFIX), -_VARIABLE_RANKS.get(upper, len(_VARIABLE_RANKS)), name


def should_be_setting(upper: str) -> bool:
    # A secret's name starts with a letter or a digit: SCHEDULER_SECRET__ALLOW is a misspelt SCHEDULER_SECRETS__ALLOW.
    is_secret = upper.startswith(SECRET_PREFIX) and not upper.startswith(f"{SECRET_PREFIX}_")
    return (
        upper.startswith(VARIABLE_PREFIX) and not is_secret and upper not in {ENVIRONMENT_VARIABLE, *CLIENT_VARIABLES}
    )


def variable_path(name: str) -> KeyPath | None:
    """The path of the setting that an environment variable gives; None for a variable that is not a setting."""
    return _well_known_paths().get(name.upper()) or _setting_variables().get(name.upper())


@cache
def _well_known_paths() -> dict[str, KeyPath]:
    return {name.upper(): path for name, path in WELL_KNOWN_VARIABLES.items()}


def explain_unknown_variable(upper: str) -> tuple[str, str]:
    """Return message and hint. Names are compared without their common prefix, which makes every name look similar."""
    if upper.endswith("_FILE") and (name := upper.removesuffix("_FILE")) in _setting_variables():
        return "only a setting that holds a secret can stand in a file", f"set {name}"
    near = suggest_name(
        upper.removeprefix(VARIABLE_PREFIX), [name.removeprefix(VARIABLE_PREFIX) for name in _setting_variables()]
    )
    if near is None:
        return "unknown setting", "config/environments/base.yaml lists the settings"
    return f"unknown setting{did_you_mean(VARIABLE_PREFIX + near)}", ""


@cache
def secret_setting_variables() -> frozenset[str]:
    """The variables, in capitals, of the settings that hold a secret."""
    paths = {path for path, field in _leaf_fields(Settings) if "SecretStr" in str(field.annotation)}
    names = {**_setting_variables(), **_well_known_paths()}
    return frozenset(name for name, path in names.items() if path in paths)


@cache
def _setting_variables() -> dict[str, KeyPath]:
    """Every setting's variable: `SCHEDULER_LOG__LEVEL` -> log.level."""
    return {
        VARIABLE_PREFIX + "__".join(path).upper(): path for path in _leaf_paths(Settings) if path not in _NOT_SETTABLE
    }


_NOT_SETTABLE: frozenset[KeyPath] = frozenset({("environment",), ("unresolved",)})


def _leaf_paths(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    return (path for path, _ in _leaf_fields(model))


def _leaf_fields(model: type[BaseModel]) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from (((name, *rest), field) for rest, field in _leaf_fields(inner))
        else:
            yield (name,), info


MAX_SECRET_BYTES = 64 * 1024
"""Bytes. A vault's secrets have 25 KiB at most."""


class UnusableSecretFile(Exception):
    """Why a file is not a secret, and the fix; never its content."""


def read_secret_content(
    path: str | Path, shown: str, previous: FileSignature = (), *, flags: int = 0
) -> tuple[bytes | None, FileSignature]:
    """Return what is in the file; None if it is the one whose signature is `previous`.

    `shown`: how messages name the file. `flags`: of os.open, in addition to those that are needed.

    Raises:
        FileNotFoundError: there is no such file.
        UnusableSecretFile: it cannot be read.
    """
    try:
        return read_regular_file(path, MAX_SECRET_BYTES, previous, flags=flags)
    except (NotRegularFile, IsADirectoryError):
        raise UnusableSecretFile(f"{shown} is not a file") from None
    except FileTooLarge:
        size = f"{MAX_SECRET_BYTES // 1024} KiB"
        raise UnusableSecretFile(f"{shown} has more than {size}, which is too large for a secret") from None
    except PermissionError:
        message = f"{shown} is not readable by the program's user; change its owner, group or mode"
        raise UnusableSecretFile(message) from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnusableSecretFile(f"{shown} cannot be read ({error.strerror})") from None
    except ValueError:  # a NUL in the path
        raise UnusableSecretFile(f"{shown} is not a path") from None


def decode_secret(content: bytes, shown: str) -> str:
    """Return the text without its last line end. Raises UnusableSecretFile."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnusableSecretFile(f"{shown} is not UTF-8 text; write it so") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise UnusableSecretFile(f"{shown} is empty")
    return text


FILE_SUFFIX = "_FILE"


@dataclass(frozen=True, slots=True)
class ExpandedVariables:
    """`values`: the variables, with the values of the files. `sources`: for these, NAME_FILE by NAME."""

    values: Mapping[str, str]
    sources: Mapping[str, str]
    problems: tuple[Problem, ...]


def expand_value_files(environ: Mapping[str, str]) -> ExpandedVariables:
    """Replace each NAME_FILE of a setting by NAME with the text of the file."""
    present = {name.upper() for name, value in environ.items() if value.strip()}
    values = {name: value for name, value in environ.items() if not _is_setting_file(name)}
    sources: dict[str, str] = {}
    problems: list[Problem] = []
    for variable, path in _file_variables(environ):
        name = variable[: -len(FILE_SUFFIX)]
        if name.upper() in present:
            # An empty NAME counts as not set. A secret of jobs can have a name with -file at its end.
            if _is_setting_file(variable) or os.path.isabs(path):
                problems.append(Problem(variable, f"{name} is set, too", "set one of them"))
        elif _is_setting_file(variable):
            try:
                text = read_value_file(path)
            except UnusableSecretFile as error:
                problems.append(Problem(variable, str(error)))
                continue
            values = {key: value for key, value in values.items() if key.upper() != name.upper()}
            values[name], sources[name] = text, variable
    return ExpandedVariables(values, sources, tuple(problems))


def _file_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The variables of files that are set, those of secrets of jobs included."""
    for name in sorted(environ):
        is_secret = name.upper().startswith(SECRET_PREFIX) and name.upper().endswith(FILE_SUFFIX)
        if environ[name].strip() and (is_secret or _is_setting_file(name)):
            yield name, environ[name].strip()


def _is_setting_file(name: str) -> bool:
    """Whether NAME of this NAME_FILE is a setting that holds a secret, or the secret of a service principal."""
    upper = name.upper()
    base = upper.removesuffix(FILE_SUFFIX)
    return upper != base and (base in secret_setting_variables() or base == CLIENT_SECRET_VARIABLE)


def read_value_file(path: str) -> str:
    """Return the text of a file that a variable names, without its last line end. Raises UnusableSecretFile."""
    if not os.path.isabs(path):
        # A secret that someone wrote in place of a path must not be shown.
        raise UnusableSecretFile("is not an absolute path; write the path of a file that holds the value")
    try:
        content, _ = read_secret_content(path, path)
    except FileNotFoundError:
        raise UnusableSecretFile(f"{path} does not exist; check its mount") from None
    return decode_secret(content or b"", path)


def read_secret_variable(environ: Mapping[str, str], name: str) -> str:
    """Return the value of NAME or of the file of NAME_FILE; empty without both.

    Raises:
        UnusableSecretFile: the file cannot be used, or both are set; names the variable.
    """
    value, variable = environ.get(name, "").strip(), name + FILE_SUFFIX
    path = environ.get(variable, "").strip()
    if value and path:
        raise UnusableSecretFile(f"{variable}: {name} is set, too; set one of them")
    if not path:
        return value
    try:
        return read_value_file(path).strip()
    except UnusableSecretFile as error:
        raise UnusableSecretFile(f"{variable}: {error}") from None
