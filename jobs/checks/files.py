"""Read regular files of a bounded size, also by a path relative to the folder of a job file.

Blocking: call it in a thread (`run_in_daemon_thread`), as a file system may hang. It neither waits for a named pipe nor
reads a device. A path, or a link, that leaves the folder is refused: job files cannot read other files.

A lack of file descriptors looks like a fault of the target: without one, the C library reports an unknown name, and
OpenSSL does not trust a certificate whose authority it could not open.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from jobs.checks.errors import FileTooLarge, NotRegularFile
from jobs.errors import JobsError

FileSignature = tuple[int, ...]
"""Of a file's state; a different one means that the file may have changed."""


def require_regular_file(status: os.stat_result) -> None:
    """Raises NotRegularFile."""
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularFile(is_folder=stat.S_ISDIR(status.st_mode))


def read_regular_file(
    path: str | Path, most: int, known_signature: FileSignature = (), *, flags: int = 0
) -> tuple[bytes | None, FileSignature]:
    """Return a file's content and signature; None as its content if the signature is the known one.

    `most`: bytes. `flags`: of os.open, in addition to those that are needed.

    Raises:
        OSError, ValueError: it cannot be opened or read.
        NotRegularFile, FileTooLarge: it is not read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | flags)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        require_regular_file(status)
        signature = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if signature == known_signature:
            return None, known_signature
        content = file.read(most + 1)
    if len(content) > most:
        raise FileTooLarge
    return content, signature


class UnusableFile(JobsError, ValueError):
    """The file cannot be read. The message has the reason."""


def read_file_below(
    folder: str, path: str, most: int, known_signature: FileSignature = ()
) -> tuple[bytes | None, FileSignature]:
    """Return content and signature of a file, as read_regular_file. Raises UnusableFile.

    `folder`: empty if the job files are in no folder of this machine. `most`: bytes.
    """
    if not folder:
        raise UnusableFile("the job files are not in a folder, so that no file can be next to them: use url")
    full = os.path.join(folder, path)
    try:
        # A mounted ConfigMap has links within its folder.
        if not Path(os.path.realpath(full)).is_relative_to(os.path.realpath(folder)):
            raise UnusableFile("it is outside the folder of the job file")
        return read_regular_file(full, most, known_signature)
    except NotRegularFile:
        raise UnusableFile("it is not a file") from None
    except FileTooLarge:
        raise UnusableFile(f"it is larger than {most:,} bytes") from None
    except (OSError, ValueError) as error:
        if isinstance(error, UnusableFile):
            raise
        reason = error.strerror if isinstance(error, OSError) else None
        raise UnusableFile((reason or type(error).__name__).lower()) from None


_NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE})


def check_descriptors() -> None:
    """Open and close a file.

    Raises:
        OSError: EMFILE or ENFILE, no descriptor is left.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno in _NONE_LEFT:
            raise


_T = TypeVar("_T")


async def run_in_daemon_thread(work: Callable[..., _T], *arguments: object) -> _T:
    """Run as `asyncio.to_thread` does, for work that may never return, such as access to a hanging share.

    The few threads of `to_thread` are shared, and the program waits for them at exit; this thread is used once, and the
    program exits without it. Callers limit how many of them hang at a time.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only if `work` returns it

    def worked() -> None:
        result, error = None, None
        try:
            result = work(*arguments)
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed: there is no waiter left
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=worked, name=f"own-{work.__name__}", daemon=True).start()
    return await done
