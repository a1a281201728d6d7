"""Lists the sessions of browsers and ends them. Used by the API and the command `sessions`."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.ports import Clock
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.errors import NotFound
from scheduler.identity.principal import Caller
from scheduler.stores.identity.sessions import Session, StoredSessions


class SessionManager:
    """All methods raise StoreError. The id of a session is not shown: `handle` is its beginning."""

    def __init__(self, stored: StoredSessions, trail: AuditTrail, clock: Clock) -> None:
        self._stored = stored
        self._trail = trail
        self._clock = clock

    async def list_sessions(self) -> Sequence[Session]:
        """Return the sessions that have not ended, by principal, the oldest first."""
        found = await self._stored.list_all(self._clock.now())
        return sorted(found, key=lambda each: (each.principal.id, each.ends_at, each.id))

    async def end(self, handle: str, caller: Caller) -> Session:
        """End the session with this handle: every process rejects it within seconds. Raises NotFound."""
        found = next((each for each in await self.list_sessions() if each.handle == handle), None)
        if found is None:
            raise NotFound(f"there is no session {handle!r}: it has ended, or never existed")
        await self._end(found, caller)
        return found

    async def end_all_of(self, principal: str, caller: Caller) -> Sequence[Session]:
        """End all sessions of a principal, such as `api_key:deploy`. Return them."""
        found = [each for each in await self.list_sessions() if each.principal.id == principal]
        for each in found:
            await self._end(each, caller)
        return found

    async def _end(self, session: Session, caller: Caller) -> None:
        summary = f"session {session.handle} of {session.principal.id} was ended"
        async with audited(self._trail, caller, AuditedChange("session.end", session.principal.id, summary)):
            await self._stored.delete(session.id)
