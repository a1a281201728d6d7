"""Where the file of a secret is: in the folder of mounted secrets, or at the path in a variable. Called by chain.py."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from config.settings.variables import SECRET_PREFIX
from config.value_files.expansion import FILE_SUFFIX
from config.value_files.secret_text import UnusableSecretFile


@dataclass(frozen=True, slots=True)
class SecretLocation:
    """`shown`: how messages name the file. `boundary`: links must not lead out of this folder; None: anywhere."""

    path: Path
    shown: str
    boundary: Path | None = None


class SecretLocator(Protocol):
    """Blocking: called in a thread."""

    @property
    def description(self) -> str:
        """What does not answer if a file does not."""
        ...

    def find(self, name: str) -> SecretLocation | None:
        """Return where the secret is; None if it has no file. Raises UnusableSecretFile."""
        ...

    def all(self) -> Iterator[SecretLocation]:
        """Yield the files of all secrets."""
        ...


class FolderLocator:
    """A file a secret, in one folder, which can be empty or missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def description(self) -> str:
        return str(self._folder)

    def find(self, name: str) -> SecretLocation | None:
        """The file of that name, `-` and `_` being alike."""
        for spelling in dict.fromkeys((name, name.replace("_", "-"), name.replace("-", "_"))):
            path = self._folder / spelling
            if os.path.lexists(path):
                return self._location(path)
        return None

    def all(self) -> Iterator[SecretLocation]:
        try:
            yield from (self._location(path) for path in self._folder.iterdir() if not path.name.startswith("."))
        except OSError:
            return

    def _location(self, path: Path) -> SecretLocation:
        return SecretLocation(path, str(path), self._folder)


class VariableLocator:
    """The path in SCHEDULER_SECRET_<NAME>_FILE."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    @property
    def description(self) -> str:
        return "its file"

    def has(self, name: str) -> bool:
        """Return whether a variable names a file of this secret."""
        return bool(self._environ.get(file_variable_name(name), "").strip())

    def find(self, name: str) -> SecretLocation | None:
        variable = file_variable_name(name)
        path = self._environ.get(variable, "").strip()
        if not path:
            return None
        if not os.path.isabs(path):
            # A secret that someone wrote in place of a path must not be shown.
            raise UnusableSecretFile(f"{variable} is not an absolute path; write the path of a file with the value")
        return SecretLocation(Path(path), f"{variable}: {path}")

    def all(self) -> Iterator[SecretLocation]:
        for variable, path in self._environ.items():
            if variable.startswith(SECRET_PREFIX) and variable.endswith(FILE_SUFFIX) and os.path.isabs(path):
                yield SecretLocation(Path(path), f"{variable}: {path}")


def secret_variable_name(name: str) -> str:
    """The variable that may hold this secret."""
    return SECRET_PREFIX + name.upper().replace("-", "_")


def file_variable_name(name: str) -> str:
    """The variable that may hold the path of a file with this secret."""
    return secret_variable_name(name) + FILE_SUFFIX
