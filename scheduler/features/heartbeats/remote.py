"""Heartbeats of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.heartbeats.models import HeartbeatModel


class RemoteHeartbeats(RemoteRoom):
    """See HeartbeatQueries."""

    async def view_heartbeat(self, job: str, ping_limit: int = 0) -> HeartbeatModel:
        found = await self.read(HeartbeatModel, ("jobs", job, "heartbeat"))
        return found.model_copy(update={"pings": found.pings[:ping_limit]})
