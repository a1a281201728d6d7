"""Stored jobs of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from pydantic import BaseModel

from scheduler.catalog.catalog import UnknownJob
from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.stored_jobs.models import VersionDiff, VersionList
from scheduler.identity.principal import Caller


class _Declared(BaseModel):
    """What a job that is in force, or not, has in common. `version` None: it is of a file."""

    version: int | None


class RemoteStoredJobs(RemoteRoom):
    """See StoredJobQueries."""

    async def list_versions(self, name: str, caller: Caller) -> VersionList:
        return await self.read(VersionList, ("jobs", name, "versions"))

    async def compare_versions(self, name: str, number: int, against: int, caller: Caller) -> VersionDiff:
        return await self.read(VersionDiff, ("jobs", name, "versions", number, "diff"), against=against)


class RemoteStoredJobEditor(RemoteRoom):
    """Restores and deletes stored jobs, whatever their current version."""

    async def restore(self, name: str, version: int) -> int:
        """Return the number of the new version."""
        exists = await self._find_version(name) is not None
        headers = {"If-Match": "*"} if exists else {"If-None-Match": "*"}
        words = ("jobs", name, "versions", version, "restore")
        restored = self.parse(_Declared, await self.send("POST", words, headers=headers))
        return restored.version or 0

    async def delete(self, name: str) -> int | None:
        """Return the number of the version that was deleted."""
        number = await self._find_version(name)
        await self.send("DELETE", ("jobs", name), headers={"If-Match": "*"})
        return number

    async def _find_version(self, name: str) -> int | None:
        try:
            return (await self.read(_Declared, ("jobs", name))).version
        except UnknownJob:
            return None
