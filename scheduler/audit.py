"""The log line of every change that people make. There are no identities, so it says the way, not the person."""

from __future__ import annotations

import logging
from enum import StrEnum

_log = logging.getLogger("scheduler.audit")


class ChangeSource(StrEnum):
    """How it was asked for."""

    API = "over the API"
    COMMAND_LINE = "on the command line"
    PING = "by a ping of its heartbeat"
    FILES = "by the job files"


def log_change(change: str, source: ChangeSource) -> None:
    """`done` is a sentence's beginning, such as `job checkout was resumed`."""
    _log.info("%s, as was asked %s", change, source)
