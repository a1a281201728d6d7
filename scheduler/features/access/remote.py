"""API keys, and sessions of browsers, of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.errors import NotFound
from scheduler.features.access.models import BrowserSessionList, BrowserSessionModel, CreatedKeyModel, KeyList
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

    async def end(self, handle: str, caller: Caller) -> BrowserSessionModel:
        ended = await self._end(lambda session: session.id == handle)
        if not ended:
            raise NotFound(f"there is no session {handle!r}: it has ended, or never existed")
        return ended[0]

    async def end_all_of(self, principal: str, caller: Caller) -> list[BrowserSessionModel]:
        return await self._end(lambda session: session.principal == principal)

    async def _end(self, is_chosen: Callable[[BrowserSessionModel], bool]) -> list[BrowserSessionModel]:
        """End these sessions. The responses are empty: the list has what is shown of them."""
        sessions = list(filter(is_chosen, (await self.list_sessions()).sessions))
        for session in sessions:
            await self.send("DELETE", ("sessions", session.id))
        return sessions
