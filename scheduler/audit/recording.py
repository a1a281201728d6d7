"""Makes a change as an auditor requires: recorded first, made, logged. Used by scheduler.operations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scheduler.audit.change_log import log_change, log_failed_change
from scheduler.audit.trail import AuditedChange, AuditTrail
from scheduler.identity.caller import Caller, ChangeSource


@asynccontextmanager
async def audited(trail: AuditTrail, caller: Caller, change: AuditedChange) -> AsyncIterator[None]:
    """Record the change, make it in the block, log it. Raises StoreError like `recorded`."""
    async with recorded(trail, caller, change):
        yield
    log_change(change.summary, caller)


@asynccontextmanager
async def recorded(trail: AuditTrail, caller: Caller, change: AuditedChange) -> AsyncIterator[None]:
    """Record the change, and make it in the block. A block that raises is recorded as failed.

    A run that a ping starts is not recorded: pings would fill the trail.

    Raises StoreError: the change could not be recorded, and the block did not run.
    """
    if caller.source is ChangeSource.PING:
        yield
        return
    number = await trail.record(caller, change)
    try:
        yield
    except Exception as error:
        log_failed_change(change.action, change.object_id, caller, error)
        await trail.record_failure(caller, change, error, number)
        raise
