"""Secrets mounted as files, one a secret, as Kubernetes and the CSI driver of Key Vault do. Called by chain.py.

A file is looked at again after a second at the latest, by its times, size and inode, and read when these have changed:
so a rotated secret, or a folder swapped by its symbolic link, arrives without a restart. While the folder does not
answer, as a share that hangs, the last known value is used: nobody has taken it away.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from config.layers import is_unresolved, unresolved_sentence
from jobs.checks.errors import FileTooLarge, NotRegularFile
from jobs.checks.files.own_thread import in_own_thread
from jobs.checks.files.regular import Signature, read_regular
from jobs.errors import SecretUnavailable
from jobs.kept_values import Trouble
from jobs.ports import Clock

LOOK_EVERY = 1.0
"""Seconds for which a look at a file is good."""

PATIENCE = 1.0
"""Seconds for a look. Who comes while one takes longer does not wait for it."""

LARGEST = 64 * 1024
"""Bytes. A vault's secrets have 25 KiB at most."""


@dataclass(frozen=True, slots=True)
class FileSecret:
    """`path`: as it is written, without the links that it leads along."""

    value: str
    path: str
    read_at: datetime


@dataclass(slots=True)
class _Seen:
    found: FileSecret | None = None
    signature: Signature = ()
    failure: str = ""
    failing_since: datetime | None = None
    looked_at: float | None = None
    """None: its first look is not over."""
    looking: asyncio.Task[None] | None = None
    looking_since: float = 0.0


class SecretFiles:
    """`folder` may be empty or not there (yet): then there are no such secrets."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._resolving: asyncio.Task[tuple[str, ...]] | None = None

    @property
    def folder(self) -> Path:
        return self._folder

    async def get(self, name: str, *, now: bool = False) -> FileSecret | None:
        """The secret's value; None if it has no file. `now`: look at the file in any case.

        Raises:
            SecretUnavailable: there is a file, and it cannot be used.
        """
        seen = self._seen.setdefault(name, _Seen())
        if now and seen.looking is not None:
            await self._looked(seen)  # it may have seen what was there before
        if seen.looking is None and (now or self._is_old(seen)):
            seen.looking, seen.looking_since = asyncio.create_task(self._look(name, seen)), self._clock.monotonic()
        if seen.looking is not None:
            await self._looked(seen)
        if seen.looked_at is None:
            raise SecretUnavailable(f"secret {name}: {self._folder} does not answer; look at how it is mounted")
        if seen.failure:
            raise SecretUnavailable(f"secret {name}: {seen.failure}")
        return seen.found

    def troubles(self) -> tuple[Trouble, ...]:
        """The secrets whose file cannot be used."""
        return tuple(
            Trouble(name, seen.failing_since, f"secret {name}: {seen.failure}", stale=False)
            for name, seen in self._seen.items()
            if seen.failing_since is not None
        )

    async def unresolved(self) -> tuple[str, ...]:
        """A sentence about each file that holds a Key Vault reference instead of a secret."""
        if self._resolving is None:
            self._resolving = asyncio.create_task(in_own_thread(self._unresolved))
            self._resolving.add_done_callback(self._resolved)
        # Who loses patience does not end it: the next one would hang in another thread.
        return await asyncio.shield(self._resolving)

    def _resolved(self, _: object) -> None:
        self._resolving = None

    def _unresolved(self) -> tuple[str, ...]:
        return tuple(unresolved_sentence(str(path)) for path in self._files() if _holds_reference(path))

    def _is_old(self, seen: _Seen) -> bool:
        return seen.looked_at is None or self._clock.monotonic() - seen.looked_at >= LOOK_EVERY

    async def _looked(self, seen: _Seen) -> None:
        """Wait for the look that goes on, as long as patience lasts."""
        left = PATIENCE - (self._clock.monotonic() - seen.looking_since)
        if seen.looking is not None and left > 0:
            await asyncio.wait({seen.looking}, timeout=left)

    async def _look(self, name: str, seen: _Seen) -> None:
        try:
            await in_own_thread(self._look_at_file, name, seen)
            seen.looked_at = self._clock.monotonic()
        finally:
            seen.looking = None

    def _files(self) -> Iterator[Path]:
        try:
            yield from (path for path in self._folder.iterdir() if not path.name.startswith("."))
        except OSError:
            return

    def _look_at_file(self, name: str, seen: _Seen) -> None:
        try:
            self._read(name, seen)
            seen.failure, seen.failing_since = "", None
        except _Unusable as error:
            seen.found, seen.signature, seen.failure = None, (), str(error)
            seen.failing_since = seen.failing_since or self._clock.now()

    def _read(self, name: str, seen: _Seen) -> None:
        path = self._path(name)
        if path is None:
            seen.found, seen.signature = None, ()
            return
        try:
            content, signature = _content(path, self._folder, seen.signature)
        except FileNotFoundError:
            # The folder that a link led to was replaced between two looks at it.
            content, signature = _content_or_why(path, self._folder, seen.signature)
        if content is not None:
            seen.found = FileSecret(_text(content, path), str(path), self._clock.now())
            seen.signature = signature

    def _path(self, name: str) -> Path | None:
        """The file of that name, `-` and `_` being alike."""
        for spelling in dict.fromkeys((name, name.replace("_", "-"), name.replace("-", "_"))):
            path = self._folder / spelling
            if os.path.lexists(path):
                return path
        return None


class _Unusable(Exception):
    """Why a file is no secret; says what to do, and nothing of its content."""


def _content(path: Path, folder: Path, known: Signature) -> tuple[bytes | None, Signature]:
    """What is in the file; None if it is the one whose signature is known."""
    try:
        real = os.path.realpath(path, strict=True)  # a link that is put there from now on is not followed
        if not Path(real).is_relative_to(os.path.realpath(folder)):
            raise _Unusable(f"{path} leads out of the folder, to where no secrets are read from")
        return read_regular(real, LARGEST, known, flags=os.O_NOFOLLOW)
    except NotRegularFile:
        raise _Unusable(f"{path} is no file") from None
    except FileTooLarge:
        raise _Unusable(f"{path} has more than {LARGEST // 1024} KiB, which is no secret") from None
    except PermissionError:
        raise _Unusable(f"{path} may not be read by the program's user; let it, by owner, group or mode") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _Unusable(f"{path} cannot be read ({error.strerror})") from None


def _content_or_why(path: Path, folder: Path, known: Signature) -> tuple[bytes | None, Signature]:
    try:
        return _content(path, folder, known)
    except FileNotFoundError:
        raise _Unusable(f"{path} leads to a file that is not there") from None


def _text(content: bytes, path: Path) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _Unusable(f"{path} is not UTF-8 text; write it so") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _Unusable(f"{path} is empty")
    if is_unresolved(text):
        raise _Unusable(unresolved_sentence(str(path)))
    return text


def _opened(path: str, flags: int) -> int:
    """Without O_NONBLOCK a named pipe would wait for its writer."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _holds_reference(path: Path) -> bool:
    try:
        with open(os.path.realpath(path), "rb", opener=_opened) as file:
            return is_unresolved(file.read(200).decode("utf-8-sig", "replace"))
    except OSError:
        return False
