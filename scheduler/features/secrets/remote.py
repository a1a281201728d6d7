"""Secrets of a running scheduler, by its API: see scheduler.features.delivery.room. Values never leave it."""

from __future__ import annotations

from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.secrets.models import SecretList, SecretModel
from scheduler.identity.principal import Caller


class RemoteSecretMonitor(RemoteRoom):
    """See SecretMonitor."""

    async def list_secrets(self, *, read: bool = False) -> SecretList:
        """Return the secrets as the scheduler knows them. `read` changes nothing: it reads them for its jobs."""
        return await self.read(SecretList, ("secrets",))


class RemoteSecretRefresher(RemoteRoom):
    """See SecretRefresher."""

    async def refresh(self, name: str, *, caller: Caller) -> SecretModel:
        return await self.change(SecretModel, ("secrets", name, "refresh"))
