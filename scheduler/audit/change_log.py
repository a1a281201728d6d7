"""Writes the audit log: one line a change. Called by scheduler.audit.trail and scheduler.operations."""

from __future__ import annotations

import logging

from scheduler.identity.caller import ChangeSource

_log = logging.getLogger("scheduler.audit")


def log_change(change: str, source: ChangeSource) -> None:
    """Log a change. `change` is a clause such as `job checkout was resumed`."""
    _log.info("%s, requested %s", change, source)
