"""Reports the end of a backup to a heartbeat, which notices one that fails or does not happen.

Called by scheduler.features.backup.commands.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException

MAX_PING_ATTEMPTS = 3
PING_TIMEOUT = 10.0
"""Seconds."""


@contextmanager
def reporting_to(ping: str | None, warn: Callable[[str], None]) -> Iterator[None]:
    """Report how the block ends to a heartbeat. A lost report is a warning: the heartbeat notices it."""
    code = 1
    try:
        yield
        code = 0
    except BaseException as ended:
        code = getattr(ended, "exit_code", code)
        raise
    finally:
        if ping:
            _report_code(
                "/".join(filter(None, (ping.rstrip("/"), os.environ.get("BACKUP_PING_TOKEN"), str(code)))), warn
            )


def _report_code(address: str, warn: Callable[[str], None]) -> None:
    """Send the ping, at most three times. The address contains the token: it is not printed."""
    from urllib.error import URLError
    from urllib.request import Request, urlopen

    problem: Exception | None = None
    for _ in range(MAX_PING_ATTEMPTS):
        try:
            if not address.startswith(("https://", "http://")):
                raise ValueError
            with urlopen(Request(address, method="POST"), timeout=PING_TIMEOUT):
                return
        except (URLError, OSError, ValueError, HTTPException) as error:
            problem = error
    status = getattr(problem, "code", "")
    warn(f"the heartbeat of --ping was not reached: {type(problem).__name__} {status}".rstrip())
