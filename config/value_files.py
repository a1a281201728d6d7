"""Secrets that stand in files: the variable NAME_FILE holds the path of a file with the value of NAME.

Docker and Kubernetes mount secrets as files. Reading blocks, but it does not wait for a named pipe.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from config.settings.variables import CLIENT_SECRET_VARIABLE, SECRET_PREFIX, secret_setting_variables
from jobs.checks.errors import FileTooLarge, NotRegularFile
from jobs.checks.files import FileSignature, read_regular_file
from jobs.problems import Problem

MAX_SECRET_BYTES = 64 * 1024
"""Bytes. A vault's secrets have 25 KiB at most."""


class UnusableSecretFile(Exception):
    """Why a file is not a secret, and the fix; never its content."""


def read_secret_content(
    path: str | Path, shown: str, known: FileSignature = (), *, flags: int = 0
) -> tuple[bytes | None, FileSignature]:
    """Return what is in the file; None if it is the one whose signature is known.

    `shown`: how messages name the file. `flags`: of os.open, in addition to those that are needed.

    Raises:
        FileNotFoundError: there is no such file.
        UnusableSecretFile: it cannot be read.
    """
    try:
        return read_regular_file(path, MAX_SECRET_BYTES, known, flags=flags)
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
