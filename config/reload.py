"""Reads the jobs again while the program runs. Made by scheduler.app, used by scheduler.reloading.

A place says cheaply whether something is different there, and reads the whole set, of which only changed files are
parsed. What is wrong comes as the one ConfigurationError, as at the start.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from config.errors import ConfigurationError
from config.job_files import JobSet, is_job_file
from config.loading import JobPlace
from jobs.checks.files.own_thread import in_own_thread

if TYPE_CHECKING:
    from config.identity import Identity
    from config.job_container import JobContainer

POLL = 2.0
"""Seconds between two looks at a folder, for file systems that tell of no changes."""
POLL_CONTAINER = 15.0
"""The same for a container, each look of which is a request."""
SETTLED = 2.0
"""Seconds after which a file that is written again has another time stamp, on every file system."""
SKEW = 3600.0
"""Seconds by which the clock of a share may be ahead. What is further in the future was not written just now."""
QUIET_MS = 100
"""Milliseconds without a change after which a save is taken to be over."""
_TRIES = 5

Seen = Mapping[str, object]
"""What tells the files at a place from those of another time, by name."""


class Source(Protocol):
    """Where job files are. Raises ConfigurationError from `changed` and `read`."""

    async def changed(self) -> bool:
        """Whether `read` may give something else than the last time."""
        ...

    async def read(self) -> JobSet:
        """All jobs."""
        ...

    def hints(self) -> AsyncIterator[None]:
        """Something each time that it is worth asking `changed`, without an end."""
        ...

    async def aclose(self) -> None: ...


def open_source(place: JobPlace, identity: Identity) -> Source | None:
    """The place of the settings; None if they name none."""
    settings = place.loaded.settings
    if settings.jobs_container is not None:
        return ContainerSource(place, identity)
    return None if settings.jobs is None else FolderSource(place, settings.jobs)


class FolderSource:
    """A folder of job files, or one of them."""

    def __init__(self, place: JobPlace, path: Path) -> None:
        self._place = place
        self._path = path
        self._seen: Seen | None = None
        self._is_settled = False

    async def changed(self) -> bool:
        """See Source.changed."""
        return not self._is_settled or await in_own_thread(_seen, self._path) != self._seen

    async def read(self) -> JobSet:
        """See Source.read."""
        return await in_own_thread(self._read)

    def _read(self) -> JobSet:
        try:
            for _ in range(_TRIES):
                before, at = _seen(self._path), time.time()
                # Again if somebody wrote meanwhile: it would be half of the old set and half of the new one.
                with suppress(_Torn):
                    return self._read_whole(before)
            return self._place.jobs()
        finally:
            self._seen = before
            self._is_settled = not any(-SKEW <= at - written <= SETTLED for written in _written(before))

    def _read_whole(self, before: Seen) -> JobSet:
        try:
            jobs = self._place.jobs()
        except ConfigurationError:
            if _seen(self._path) != before:
                raise _Torn from None
            raise
        if _seen(self._path) != before:
            raise _Torn
        return jobs

    async def hints(self) -> AsyncIterator[None]:
        """See Source.hints. At once where the system tells of changes, and each POLL seconds anyway."""
        told = asyncio.Event()
        watching = asyncio.create_task(self._watch(told))
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await told.wait()
                if told.is_set():
                    told.clear()
                    self._is_settled = False
                yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _watch(self, told: asyncio.Event) -> None:
        # Here, as the Functions host has no use for it, and each import makes its first start slower.
        from watchfiles import awatch

        folder = self._path if self._path.is_dir() else self._path.parent
        while True:
            # Not the folder above, though it alone tells at once that this one was put in place of another: with a
            # database in it, it tells of hundreds of changes a second.
            watched = await in_own_thread(_identity, folder)
            if watched is not None:
                with suppress(OSError, RuntimeError):
                    changes = awatch(
                        folder,
                        watch_filter=lambda _, path: self._is_meant(Path(path), folder),
                        step=QUIET_MS,
                        debounce=5 * QUIET_MS,
                        rust_timeout=int(POLL * 1000),
                        yield_on_timeout=True,
                        recursive=False,
                    )
                    async with aclosing(changes):
                        async for found in changes:
                            if found:
                                told.set()
                            if await in_own_thread(_identity, folder) != watched:
                                break
            await asyncio.sleep(POLL)

    def _is_meant(self, path: Path, folder: Path) -> bool:
        """Whether a change there may be one of the jobs: a log beside them changes all the time."""
        if path.parent != folder:
            return False
        # A mounted ConfigMap is changed by its link ..data.
        wanted = is_job_file(path.name) if folder == self._path else path.name == self._path.name
        return wanted or path.name.startswith("..")

    async def aclose(self) -> None:
        """Nothing is open."""


def _identity(folder: Path) -> tuple[int, int] | None:
    """Which folder it is; None if there is none."""
    with suppress(OSError):
        found = os.stat(folder)
        return found.st_dev, found.st_ino
    return None


class _Torn(Exception):
    """Somebody wrote while it was read."""


def _seen(path: Path) -> Seen:
    """Times, size and inode of each job file; {} if there is nothing."""
    try:
        if not path.is_dir():
            return {path.name: _stamp(os.stat(path))}
        with os.scandir(path) as entries:
            return {entry.name: _stamp(os.stat(entry.path)) for entry in entries if is_job_file(entry.name)}
    except OSError as error:
        return {"": (0, error.errno)}


def _stamp(stat: os.stat_result) -> tuple[int, int, int, int]:
    # Who keeps the time of a file's content (cp -p, rsync) does not keep that of the file.
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def _written(seen: Seen) -> Iterator[float]:
    """When each of them was written, in seconds since the epoch."""
    for stamp in seen.values():
        if isinstance(stamp, tuple):
            yield stamp[0] / 1e9


class ContainerSource:
    """The blob container of the settings."""

    def __init__(self, place: JobPlace, identity: Identity) -> None:
        self._place = place
        self._identity = identity
        self._container: JobContainer | None = None
        self._seen: Seen | None = None

    async def changed(self) -> bool:
        """See Source.changed."""
        return await (await self._opened()).etags() != self._seen

    async def read(self) -> JobSet:
        """See Source.read."""
        container = await self._opened()
        etags = await container.etags()
        for _ in range(_TRIES):
            seen, files = etags, await container.files(etags)
            # Again if somebody wrote meanwhile: it would be half of the old set and half of the new one.
            etags = await container.etags()
            if etags == seen:
                break
        jobs = await asyncio.to_thread(self._place.jobs, files)
        self._seen = seen
        return jobs

    async def hints(self) -> AsyncIterator[None]:
        """See Source.hints."""
        while True:
            await asyncio.sleep(POLL_CONTAINER)
            yield

    async def aclose(self) -> None:
        """Close the client."""
        if self._container is not None:
            await self._container.aclose()

    async def _opened(self) -> JobContainer:
        if self._container is None:
            from config.job_container import open_container

            self._container = await open_container(self._place.loaded.settings, self._identity)
        return self._container
