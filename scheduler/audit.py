"""Writes the audit log: one line a change. The scheduler has no user identities, so the line names the source."""

from __future__ import annotations

import logging
from enum import StrEnum

_log = logging.getLogger("scheduler.audit")


class ChangeSource(StrEnum):
    """Where a change was requested."""

    API = "over the API"
    COMMAND_LINE = "on the command line"
    PING = "by a ping of its heartbeat"
    FILES = "by the job files"


def log_change(change: str, source: ChangeSource) -> None:
    """Log a change. `change` is a clause such as `job checkout was resumed`."""
    _log.info("%s, requested %s", change, source)
