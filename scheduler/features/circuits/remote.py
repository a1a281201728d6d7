"""Circuit breakers of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from datetime import datetime

from scheduler.features.circuits.models import CircuitList, CircuitModel
from scheduler.features.delivery.room import RemoteRoom
from scheduler.identity.principal import Caller


class RemoteCircuits(RemoteRoom):
    """See CircuitQueries."""

    async def list_circuits(self, *, limit: int, after: str = "") -> CircuitList:
        return await self.read(CircuitList, ("circuits",), limit=limit, after=after)


class RemoteCircuitControl(RemoteRoom):
    """See CircuitControl."""

    async def open(self, key: str, *, until: datetime | None = None, reason: str = "", caller: Caller) -> CircuitModel:
        return await self.change(CircuitModel, ("circuits", key, "open"), {"until": until, "reason": reason})

    async def close(self, key: str, *, until: datetime | None = None, reason: str = "", caller: Caller) -> CircuitModel:
        return await self.change(CircuitModel, ("circuits", key, "close"), {"until": until, "reason": reason})

    async def reset(self, key: str, *, reason: str = "", caller: Caller) -> CircuitModel:
        return await self.change(CircuitModel, ("circuits", key, "reset"), {"reason": reason})
