"""Secrets mounted as files, one a secret, as Kubernetes and the CSI driver of Key Vault do. Called by chain.py.

A file is checked again after at most a second, by its times, size and inode, and read when these have changed: so a
rotated secret, or a folder replaced by its symbolic link, arrives without a restart. While the folder does not answer,
such as a hanging share, the last known value is used.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from config.settings.references import is_unresolved, unresolved_message
from jobs.checks.errors import FileTooLarge, NotRegularFile
from jobs.checks.files.daemon_thread import run_in_daemon_thread
from jobs.checks.files.regular_files import FileSignature, read_regular_file
from jobs.errors import SecretUnavailable
from jobs.ports import Clock
from jobs.refreshing_cache import FetchFailure

FILE_CHECK_INTERVAL = 1.0
"""Seconds for which a check of a file is valid."""

FILE_CHECK_TIMEOUT = 1.0
"""Seconds for a check. Callers do not wait for one that takes longer."""

MAX_SECRET_BYTES = 64 * 1024
"""Bytes. A vault's secrets have 25 KiB at most."""


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
    """`folder` can be empty or missing: then there are no such secrets."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._cache: dict[str, _CachedFile] = {}
        self._reference_search: asyncio.Task[tuple[str, ...]] | None = None

    @property
    def folder(self) -> Path:
        return self._folder

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
            raise SecretUnavailable(f"secret {name}: {self._folder} does not answer; check its mount")
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
        return tuple(unresolved_message(str(path)) for path in self._list_files() if _holds_reference(path))

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

    def _list_files(self) -> Iterator[Path]:
        try:
            yield from (path for path in self._folder.iterdir() if not path.name.startswith("."))
        except OSError:
            return

    def _check_file(self, name: str, seen: _CachedFile) -> None:
        try:
            self._read(name, seen)
            seen.failure, seen.failing_since = "", None
        except _UnusableFile as error:
            seen.secret, seen.signature, seen.failure = None, (), str(error)
            seen.failing_since = seen.failing_since or self._clock.now()

    def _read(self, name: str, seen: _CachedFile) -> None:
        path = self._find_path(name)
        if path is None:
            seen.secret, seen.signature = None, ()
            return
        try:
            content, signature = _read_content(path, self._folder, seen.signature)
        except FileNotFoundError:
            # The target folder of a link was replaced between two checks.
            content, signature = _read_content_or_explain(path, self._folder, seen.signature)
        if content is not None:
            seen.secret = FileSecret(_decode(content, path), str(path), self._clock.now())
            seen.signature = signature

    def _find_path(self, name: str) -> Path | None:
        """The file of that name, `-` and `_` being alike."""
        for spelling in dict.fromkeys((name, name.replace("_", "-"), name.replace("-", "_"))):
            path = self._folder / spelling
            if os.path.lexists(path):
                return path
        return None


class _UnusableFile(Exception):
    """Why a file is not a secret, and the fix; never its content."""


def _read_content(path: Path, folder: Path, known: FileSignature) -> tuple[bytes | None, FileSignature]:
    """What is in the file; None if it is the one whose signature is known."""
    try:
        real = os.path.realpath(path, strict=True)  # a link that is created from now on is not followed
        if not Path(real).is_relative_to(os.path.realpath(folder)):
            raise _UnusableFile(f"{path} is a link out of the folder; secrets are read from the folder only")
        return read_regular_file(real, MAX_SECRET_BYTES, known, flags=os.O_NOFOLLOW)
    except NotRegularFile:
        raise _UnusableFile(f"{path} is not a file") from None
    except FileTooLarge:
        raise _UnusableFile(
            f"{path} has more than {MAX_SECRET_BYTES // 1024} KiB, which is too large for a secret"
        ) from None
    except PermissionError:
        raise _UnusableFile(f"{path} is not readable by the program's user; change its owner, group or mode") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _UnusableFile(f"{path} cannot be read ({error.strerror})") from None


def _read_content_or_explain(path: Path, folder: Path, known: FileSignature) -> tuple[bytes | None, FileSignature]:
    try:
        return _read_content(path, folder, known)
    except FileNotFoundError:
        raise _UnusableFile(f"{path} is a link to a file that does not exist") from None


def _decode(content: bytes, path: Path) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _UnusableFile(f"{path} is not UTF-8 text; write it so") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _UnusableFile(f"{path} is empty")
    if is_unresolved(text):
        raise _UnusableFile(unresolved_message(str(path)))
    return text


def _open_nonblocking(path: str, flags: int) -> int:
    """Without O_NONBLOCK a named pipe would wait for its writer."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _holds_reference(path: Path) -> bool:
    try:
        with open(os.path.realpath(path), "rb", opener=_open_nonblocking) as file:
            return is_unresolved(file.read(200).decode("utf-8-sig", "replace"))
    except OSError:
        return False
