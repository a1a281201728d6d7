"""Objectives of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.objectives.models import ObjectiveList, ObjectiveModel, ObjectiveStatementModel


class RemoteObjectives(RemoteRoom):
    """Each method returns what its route serves. All raise NotFound."""

    async def list_page(self, *, limit: int, after: str = "") -> ObjectiveList:
        return await self.read(ObjectiveList, ("objectives",), limit=limit, after=after)

    async def read_state(self, name: str) -> ObjectiveModel:
        return await self.read(ObjectiveModel, ("objectives", name))

    async def read_statement(self, name: str, month: str) -> ObjectiveStatementModel:
        return await self.read(ObjectiveStatementModel, ("objectives", name, "statement"), month=month)

    async def write_statement(self, name: str, month: str) -> str:
        """Return the statement as CSV."""
        response = await self.send("GET", ("objectives", name, "statement"), month=month, format="csv")
        return response.body.decode("utf-8", "replace")
