"""Reads the jobs again while the program runs. Made by scheduler.app, used by scheduler.catalog.reloading.

A source checks cheaply whether its files have changed, and reads the whole set, of which only changed files are parsed.
Problems are raised as one ConfigurationError, as at the start.
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
from config.job_files.reader import JobSet, is_job_file, presets_folder
from config.loading import JobLoader
from config.presets.library import PRESETS_FOLDER
from jobs.checks.files import run_in_daemon_thread

if TYPE_CHECKING:
    from config.identity import AppIdentity
    from config.job_files.container import JobContainer

FOLDER_POLL_INTERVAL = 2.0
"""Seconds between two checks of a folder, for file systems that do not report changes."""
CONTAINER_POLL_INTERVAL = 15.0
"""Seconds between two checks of a container, each of which is a request."""
TIME_STAMP_RESOLUTION = 2.0
"""Seconds after which a new write has another time stamp, on every file system."""
MAX_CLOCK_SKEW = 3600.0
"""Seconds by which the clock of a share can be ahead. A later time stamp is not one of a recent write."""
SAVE_QUIET_MS = 100
"""Milliseconds without a change after which a save counts as complete."""
_MAX_READS = 5

FileStamps = Mapping[str, object]
"""A stamp of each file, by name, that changes with its content."""


class JobFileSource(Protocol):
    """Where job files are. Raises ConfigurationError from `changed` and `read`."""

    async def has_changed(self) -> bool:
        """Return whether `read` can return another set than the last time."""
        ...

    async def read(self) -> JobSet:
        """All jobs."""
        ...

    def change_hints(self) -> AsyncIterator[None]:
        """Yield whenever `changed` should be checked, without end."""
        ...

    async def aclose(self) -> None: ...


def open_job_file_source(place: JobLoader, identity: AppIdentity) -> JobFileSource | None:
    """The place of the settings; None if they name none."""
    settings = place.loaded.settings
    if settings.jobs_container is not None:
        return ContainerSource(place, identity)
    return None if settings.jobs is None else FolderSource(place, settings.jobs)


class FolderSource:
    """A folder of job files, or one of them."""

    def __init__(self, place: JobLoader, path: Path) -> None:
        self._loader = place
        self._path = path
        self._stamps: FileStamps | None = None
        self._is_settled = False

    async def has_changed(self) -> bool:
        return not self._is_settled or await run_in_daemon_thread(_read_stamps, self._path) != self._stamps

    async def read(self) -> JobSet:
        return await run_in_daemon_thread(self._read)

    def _read(self) -> JobSet:
        try:
            for _ in range(_MAX_READS):
                before, at = _read_stamps(self._path), time.time()
                # Again after a concurrent write: the set could be half old and half new.
                with suppress(_ChangedWhileReading):
                    return self._read_whole(before)
            return self._loader.load()
        finally:
            self._stamps = before
            self._is_settled = not any(
                -MAX_CLOCK_SKEW <= at - written <= TIME_STAMP_RESOLUTION for written in _modification_times(before)
            )

    def _read_whole(self, before: FileStamps) -> JobSet:
        try:
            jobs = self._loader.load()
        except ConfigurationError:
            if _read_stamps(self._path) != before:
                raise _ChangedWhileReading from None
            raise
        if _read_stamps(self._path) != before:
            raise _ChangedWhileReading
        return jobs

    async def change_hints(self) -> AsyncIterator[None]:
        """Yield when the folder may have changed: at once where the system reports it, and each FOLDER_POLL_INTERVAL
        seconds.
        """
        change_event = asyncio.Event()
        watching = asyncio.create_task(self._watch(change_event))
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(FOLDER_POLL_INTERVAL):
                        await change_event.wait()
                if change_event.is_set():
                    change_event.clear()
                    self._is_settled = False
                yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _watch(self, change_event: asyncio.Event) -> None:
        # A local import, because the Functions host does not need it, and each import slows its first start.
        from watchfiles import awatch

        folder = self._path if self._path.is_dir() else self._path.parent
        while True:
            # Not the folder above, although it alone reports at once that this one was replaced: with a database in it,
            # it reports hundreds of changes a second.
            watched = await run_in_daemon_thread(_folder_identity, folder)
            if watched is not None:
                with suppress(OSError, RuntimeError):
                    changes = awatch(
                        folder,
                        watch_filter=lambda _, path: self._is_job_change(Path(path), folder),
                        step=SAVE_QUIET_MS,
                        debounce=5 * SAVE_QUIET_MS,
                        rust_timeout=int(FOLDER_POLL_INTERVAL * 1000),
                        yield_on_timeout=True,
                        recursive=False,
                    )
                    async with aclosing(changes):
                        async for found in changes:
                            if found:
                                change_event.set()
                            if await run_in_daemon_thread(_folder_identity, folder) != watched:
                                break
            await asyncio.sleep(FOLDER_POLL_INTERVAL)

    def _is_job_change(self, path: Path, folder: Path) -> bool:
        """Return whether a change can be one of the jobs: a log in the same folder changes all the time."""
        if path.parent != folder:
            return False
        # A mounted ConfigMap is changed by its link ..data.
        is_job = is_job_file(path.name) if folder == self._path else path.name == self._path.name
        return is_job or path.name.startswith("..")

    async def aclose(self) -> None:
        """Nothing is open."""


def _folder_identity(folder: Path) -> tuple[int, int] | None:
    """Return the identity of the folder; None if it does not exist."""
    with suppress(OSError):
        found = os.stat(folder)
        return found.st_dev, found.st_ino
    return None


class _ChangedWhileReading(Exception):
    """Another process wrote while the set was read."""


def _read_stamps(path: Path) -> FileStamps:
    """Times, size and inode of each job file; {} if there is nothing."""
    try:
        folder = presets_folder(path)
        presets = _stamp_files(folder, f"{PRESETS_FOLDER}/") if folder.is_dir() else {}
        own = _stamp_files(path) if path.is_dir() else {path.name: _stamp_of(os.stat(path))}
        return {**own, **presets}
    except OSError as error:
        return {"": (0, error.errno)}


def _stamp_files(folder: Path, prefix: str = "") -> FileStamps:
    with os.scandir(folder) as entries:
        return {f"{prefix}{entry.name}": _stamp_of(os.stat(entry.path)) for entry in entries if is_job_file(entry.name)}


def _stamp_of(stat: os.stat_result) -> tuple[int, int, int, int]:
    # Programs that preserve the modification time (cp -p, rsync) do not preserve the change time.
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def _modification_times(seen: FileStamps) -> Iterator[float]:
    """When each of them was written, in seconds since the epoch."""
    for stamp in seen.values():
        if isinstance(stamp, tuple):
            yield stamp[0] / 1e9


class ContainerSource:
    """The blob container of the settings."""

    def __init__(self, place: JobLoader, identity: AppIdentity) -> None:
        self._loader = place
        self._identity = identity
        self._container: JobContainer | None = None
        self._etags: FileStamps | None = None

    async def has_changed(self) -> bool:
        return await (await self._open()).list_etags() != self._etags

    async def read(self) -> JobSet:
        container = await self._open()
        etags = await container.list_etags()
        for _ in range(_MAX_READS):
            seen, files = etags, await container.fetch_files(etags)
            # Again after a concurrent write: the set could be half old and half new.
            etags = await container.list_etags()
            if etags == seen:
                break
        jobs = await asyncio.to_thread(self._loader.load, files)
        self._etags = seen
        return jobs

    async def change_hints(self) -> AsyncIterator[None]:
        while True:
            await asyncio.sleep(CONTAINER_POLL_INTERVAL)
            yield

    async def aclose(self) -> None:
        """Close the client."""
        if self._container is not None:
            await self._container.aclose()

    async def _open(self) -> JobContainer:
        if self._container is None:
            from config.job_files.container import open_container

            self._container = await open_container(self._loader.loaded.settings, self._identity)
        return self._container
