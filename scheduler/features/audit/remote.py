"""The audit trail of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from collections.abc import AsyncIterator

from jobs.formats import escape_controls
from scheduler.features.audit.models import AuditList
from scheduler.features.audit.queries import AuditFilter
from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.statistics.periods import ANY_TIME, TimeRange
from scheduler.identity.principal import Principal


class RemoteAudit(RemoteRoom):
    """See AuditQueries."""

    async def list_entries(
        self, principal: Principal, criteria: AuditFilter, *, limit: int, continuation: str | None = None
    ) -> AuditList:
        return await self.read(
            AuditList,
            ("audit",),
            principal=criteria.principal,
            action=criteria.action,
            job=criteria.job,
            since=criteria.at.since,
            until=criteria.at.until,
            limit=limit,
            after=continuation,
        )

    async def export(self, principal: Principal, at: TimeRange = ANY_TIME) -> AsyncIterator[str]:
        """Yield the lines as they arrive. An intact one has no control character."""
        async for line in self.stream_lines(("audit", "export"), since=at.since, until=at.until):
            yield escape_controls(line)
