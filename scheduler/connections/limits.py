"""Limits of the HTTP server: its connections, so that the checks always have file descriptors, and each request.

The sizes of a request hold for both hosts.
"""

from __future__ import annotations

import logging
from typing import Final

MAX_CONNECTIONS: Final = 1000
"""More than users and probes need; 1,000 incomplete requests use some 30 MiB."""
MIN_CONNECTIONS: Final = 32
"""The API stays usable even if the limit of open files is too low for the runs."""
RESERVED_FILES: Final = 100
"""File descriptors of the program itself: store, log, event loop, exporters, job files."""
FILES_PER_RUN: Final = 2
"""A connection to the target, and a socket to the resolver, a proxy or a token endpoint."""
MAX_FILE_LIMIT: Final = 65_536
"""The limit is not raised further: some systems allow a thousand million, and size tables by it."""

_log = logging.getLogger("scheduler.connections")


def raise_file_limit() -> int | None:
    """Raise the soft limit of open files to the hard one. Returns the current limit; None without a limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    target = MAX_FILE_LIMIT if hard == unlimited else min(hard, MAX_FILE_LIMIT)
    if soft == unlimited or soft >= target:
        return None if soft == unlimited else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (OSError, ValueError) as error:
        _log.warning("could not raise the limit of open files from %d to %d: %s; unchanged", soft, target, error)
        return soft
    return target


def max_connections(files: int | None, concurrency: int) -> int:
    """Return how many connections of the API may be open: the rest of `files` after the program and its runs.

    `files`: the limit of open files; None: no limit. `concurrency`: runs at once.
    """
    if files is None:
        return MAX_CONNECTIONS
    available = files - RESERVED_FILES - FILES_PER_RUN * concurrency
    if available < MIN_CONNECTIONS:
        _log.warning(
            "the limit of open files is %d, but %d concurrent runs and the API need %d: raise it (ulimit -n), or lower "
            "the setting concurrency",
            files,
            concurrency,
            RESERVED_FILES + FILES_PER_RUN * concurrency + MIN_CONNECTIONS,
        )
    return max(MIN_CONNECTIONS, min(MAX_CONNECTIONS, available))


MAX_HEAD_BYTES: Final = 32 * 1024
"""Bytes of a request's line and headers."""
MAX_HEADERS: Final = 100
MAX_URL_BYTES: Final = 8 * 1024
"""Bytes of path and query."""
HEAD_TIMEOUT: Final = 10.0
"""Seconds for the head of a request."""
BODY_TIMEOUT: Final = 10.0
"""Seconds for the body of a request, after its head, in addition to the time at MIN_BODY_RATE."""
MIN_BODY_RATE: Final = 256 * 1024
"""Bytes a second. A large body that arrives faster is not cut."""

HEAD_TOO_LARGE: Final = (
    f"The head of the request is too large: at most {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} headers."
)
URL_TOO_LONG: Final = f"The URL of the request is too long: at most {MAX_URL_BYTES} bytes of path and query."
