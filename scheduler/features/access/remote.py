"""API keys, and sessions of browsers, of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from scheduler.features.access.models import (
    BrowserSessionList,
    BrowserSessionModel,
    CreatedKeyModel,
    KeyList,
)
from scheduler.features.access.service import DEFAULT_OVERLAP, NewKey
from scheduler.features.delivery.room import RemoteRoom
from scheduler.identity.principal import Caller, format_tag_limits


class RemoteApiKeys(RemoteRoom):
    """See ApiKeyManager. The caller is the owner of the key that the requests have."""

    async def list_keys(self, caller: Caller) -> KeyList:
        return await self.read(KeyList, ("keys",))

    async def create(self, new: NewKey, caller: Caller) -> CreatedKeyModel:
        limits = {"tags": format_tag_limits(new.tags), "expires_at": new.expires_at, "addresses": new.addresses}
        return await self.change(CreatedKeyModel, ("keys",), {"name": new.name, "role": new.role, **limits})

    async def rotate(self, key: str, caller: Caller, *, overlap: float = DEFAULT_OVERLAP) -> CreatedKeyModel:
        return await self.change(CreatedKeyModel, ("keys", key, "rotate"), {"overlap": overlap})

    async def revoke(self, key: str, caller: Caller) -> None:
        await self.send("DELETE", ("keys", key))


class RemoteSessions(RemoteRoom):
    """See SessionManager."""

    async def list_sessions(self) -> BrowserSessionList:
        return await self.read(BrowserSessionList, ("sessions",))

    async def end(self, handle: str, caller: Caller) -> None:
        await self.send("DELETE", ("sessions", handle))

    async def end_all_of(self, principal: str, caller: Caller) -> list[BrowserSessionModel]:
        sessions = [each for each in (await self.list_sessions()).sessions if each.principal == principal]
        for session in sessions:
            await self.end(session.id, caller)
        return sessions
