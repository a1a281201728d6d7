"""The port of the audit trail. Each operation records its change in it before it makes the change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from scheduler.audit.change_log import log_change
from scheduler.identity.caller import Caller


@dataclass(frozen=True, slots=True)
class AuditedChange:
    """A change that is about to be made.

    `action`: subject and verb, such as `job.pause`. `object_id`: what is changed, such as a job's name. `summary`: a
    clause for people, such as `job checkout was resumed`. `jobs`: the jobs that it concerns, which decide who sees the
    entry. `before`, `after`: JSON values without secrets.
    """

    action: str
    object_id: str
    summary: str
    jobs: tuple[str, ...] = ()
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class AuditTrail(Protocol):
    async def record(self, caller: Caller, change: AuditedChange) -> None:
        """Store an entry, before the change is made. Raises StoreError: then the change must not be made."""
        ...


class LoggedAuditTrail:
    """An audit trail that only logs."""

    async def record(self, caller: Caller, change: AuditedChange) -> None:
        """See AuditTrail.record."""
        log_change(change.summary, caller.source)
