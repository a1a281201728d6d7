"""Writes the audit log: one line a change. Called by scheduler.audit.recording."""

from __future__ import annotations

import logging

from scheduler.identity.caller import Caller

_log = logging.getLogger("scheduler.audit")


def log_change(change: str, caller: Caller) -> None:
    """Log a change. `change` is a clause such as `job checkout was resumed`."""
    _log.info("%s, requested %s", change, caller.source)


def log_failed_change(action: str, object_id: str, caller: Caller, error: BaseException) -> None:
    """Log a change that was recorded and then failed."""
    _log.warning("could not complete %s of %s, requested %s: %s", action, object_id, caller.source, error)
