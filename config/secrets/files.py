"""Secrets mounted as files, as Docker, Kubernetes and the CSI driver of Key Vault do: in the folder of mounted
secrets, or at the path in a variable.

A file is checked again after at most a second, by its times, size and inode, and read when these have changed: so a
rotated secret, or a folder replaced by its symbolic link, arrives without a restart. While a file does not answer,
such as on a hanging share, the last known value is used.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from config.settings.layers import is_unresolved, unresolved_message
from config.settings.variables import FILE_SUFFIX, SECRET_PREFIX, UnusableSecretFile, decode_secret, read_secret_content
from jobs.checks.files import FileSignature, run_in_daemon_thread
from jobs.errors import SecretUnavailable
from jobs.ports import Clock
from jobs.refreshing_cache import FetchFailure


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


FILE_CHECK_INTERVAL = 1.0
"""Seconds for which a check of a file is valid."""

FILE_CHECK_TIMEOUT = 1.0
"""Seconds for a check. Callers do not wait for one that takes longer."""


@dataclass(frozen=True, slots=True)
class FileSecret:
    """`path`: as configured, links not resolved."""

    value: str
    path: str
    read_at: datetime


@dataclass(slots=True)
class _CachedFile:
    secret: FileSecret | None = None
    signature: FileSignature = ()
    failure: str = ""
    failing_since: datetime | None = None
    checked_at: float | None = None
    """None: its first check is not finished."""
    check: asyncio.Task[None] | None = None
    check_started_at: float = 0.0


class SecretFiles:
    """The files that a locator finds."""

    def __init__(self, locator: SecretLocator, clock: Clock) -> None:
        self._locator = locator
        self._clock = clock
        self._cache: dict[str, _CachedFile] = {}
        self._reference_search: asyncio.Task[tuple[str, ...]] | None = None

    async def read_secret(self, name: str, *, now: bool = False) -> FileSecret | None:
        """The secret's value; None if it has no file. `now`: check the file in any case.

        Raises:
            SecretUnavailable: there is a file, and it cannot be used.
        """
        seen = self._cache.setdefault(name, _CachedFile())
        if now and seen.check is not None:
            await self._wait_for_check(seen)  # it can have read the previous value
        if seen.check is None and (now or self._is_stale(seen)):
            seen.check, seen.check_started_at = (
                asyncio.create_task(self._run_check(name, seen)),
                self._clock.monotonic(),
            )
        if seen.check is not None:
            await self._wait_for_check(seen)
        if seen.checked_at is None:
            raise SecretUnavailable(f"secret {name}: {self._locator.description} does not answer; check its mount")
        if seen.failure:
            raise SecretUnavailable(f"secret {name}: {seen.failure}")
        return seen.secret

    def fetch_failures(self) -> tuple[FetchFailure, ...]:
        """The secrets whose file cannot be used."""
        return tuple(
            FetchFailure(name, seen.failing_since, f"secret {name}: {seen.failure}", is_stale_value_used=False)
            for name, seen in self._cache.items()
            if seen.failing_since is not None
        )

    async def unresolved(self) -> tuple[str, ...]:
        """A sentence about each file that holds a Key Vault reference instead of a secret."""
        if self._reference_search is None:
            self._reference_search = asyncio.create_task(run_in_daemon_thread(self._find_references))
            self._reference_search.add_done_callback(self._on_references_found)
        # A caller's timeout does not cancel it: the next check would hang in another thread.
        return await asyncio.shield(self._reference_search)

    def _on_references_found(self, _: object) -> None:
        self._reference_search = None

    def _find_references(self) -> tuple[str, ...]:
        return tuple(unresolved_message(found.shown) for found in self._locator.all() if _holds_reference(found.path))

    def _is_stale(self, seen: _CachedFile) -> bool:
        return seen.checked_at is None or self._clock.monotonic() - seen.checked_at >= FILE_CHECK_INTERVAL

    async def _wait_for_check(self, seen: _CachedFile) -> None:
        """Wait for the check, until its timeout."""
        left = FILE_CHECK_TIMEOUT - (self._clock.monotonic() - seen.check_started_at)
        if seen.check is not None and left > 0:
            await asyncio.wait({seen.check}, timeout=left)

    async def _run_check(self, name: str, seen: _CachedFile) -> None:
        try:
            await run_in_daemon_thread(self._check_file, name, seen)
            seen.checked_at = self._clock.monotonic()
        finally:
            seen.check = None

    def _check_file(self, name: str, seen: _CachedFile) -> None:
        try:
            self._read(name, seen)
            seen.failure, seen.failing_since = "", None
        except UnusableSecretFile as error:
            seen.secret, seen.signature, seen.failure = None, (), str(error)
            seen.failing_since = seen.failing_since or self._clock.now()

    def _read(self, name: str, seen: _CachedFile) -> None:
        location = self._locator.find(name)
        if location is None:
            seen.secret, seen.signature = None, ()
            return
        try:
            content, signature = _read_content(location, seen.signature)
        except FileNotFoundError:
            # The target folder of a link was replaced between two checks.
            content, signature = _read_content_or_explain(location, seen.signature)
        if content is not None:
            text = decode_secret(content, location.shown)
            if is_unresolved(text):
                raise UnusableSecretFile(unresolved_message(location.shown))
            seen.secret = FileSecret(text, str(location.path), self._clock.now())
            seen.signature = signature


def _read_content(location: SecretLocation, previous: FileSignature) -> tuple[bytes | None, FileSignature]:
    """What is in the file; None if it is the one whose signature is known."""
    try:
        real = os.path.realpath(location.path, strict=True)  # a link that is created from now on is not followed
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnusableSecretFile(f"{location.shown} cannot be read ({error.strerror})") from None
    if location.boundary is not None and not Path(real).is_relative_to(os.path.realpath(location.boundary)):
        message = f"{location.shown} is a link out of the folder; secrets are read from the folder only"
        raise UnusableSecretFile(message)
    return read_secret_content(real, location.shown, previous, flags=getattr(os, "O_NOFOLLOW", 0))


def _read_content_or_explain(location: SecretLocation, previous: FileSignature) -> tuple[bytes | None, FileSignature]:
    try:
        return _read_content(location, previous)
    except FileNotFoundError:
        if os.path.islink(location.path):
            raise UnusableSecretFile(f"{location.shown} is a link to a file that does not exist") from None
        raise UnusableSecretFile(f"{location.shown} does not exist; check its mount") from None


def _open_nonblocking(path: str, flags: int) -> int:
    """Without O_NONBLOCK a named pipe would wait for its writer."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _holds_reference(path: Path) -> bool:
    try:
        with open(os.path.realpath(path), "rb", opener=_open_nonblocking) as file:
            return is_unresolved(file.read(200).decode("utf-8-sig", "replace"))
    except OSError:
        return False
