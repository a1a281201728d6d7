"""Sessions of browsers: one row a session, found by the hash of its cookie. Used by scheduler.authentication.sessions.

The key of a row starts with the end of the session, so that expired rows are the first ones of their partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.identity.principal import Principal, PrincipalKind, Role
from scheduler.stores.port import Delete, Insert, Replace, RowChanged, Store
from scheduler.stores.rows import decode_json, encode_json, list_all_rows

SESSIONS_TABLE = "sessions"
_PARTITION = "browsers"
HANDLE_LENGTH = 12
MAX_PRUNED = 100
"""Expired sessions that one start of a session removes."""


@dataclass(frozen=True, slots=True)
class Session:
    """`id`: the key of its row. `principal`: as it was when the session started. `key_id`: of the API key, if any.

    `ends_at`: whatever happens. `used_at`: correct to a minute. A row of an older version has neither `started_at` nor
    `address`.
    """

    id: str
    principal: Principal
    key_id: str
    ends_at: datetime
    used_at: datetime
    etag: str = ""
    started_at: datetime | None = None
    address: str = ""

    @property
    def handle(self) -> str:
        """What is shown of the id: the beginning of the hash of the cookie."""
        return self.id.rpartition("-")[2][:HANDLE_LENGTH]


class StoredSessions:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, session_id: str) -> Session | None:
        row = await self._store.get_row(SESSIONS_TABLE, _PARTITION, session_id)
        return None if row is None else _decode(row.key, decode_json(row.body), row.etag)

    async def list_of(self, principal: Principal, now: datetime) -> Sequence[Session]:
        """Return the principal's sessions that have not ended, those that end first at the beginning."""
        return [each for each in await self.list_all(now) if each.principal.id == principal.id]

    async def list_all(self, now: datetime) -> Sequence[Session]:
        """Return all sessions that have not ended, those that end first at the beginning."""
        rows = await list_all_rows(self._store, SESSIONS_TABLE, _PARTITION, after=expiry_prefix(now))
        return [_decode(row.key, decode_json(row.body), row.etag) for row in rows]

    async def insert(self, session: Session, now: datetime) -> None:
        """Store a session, and remove some that have expired."""
        expired = await self._store.list_rows(
            SESSIONS_TABLE, _PARTITION, until=expiry_prefix(now), limit=MAX_PRUNED, bodies=False
        )
        await self._store.apply(*(Delete(SESSIONS_TABLE, _PARTITION, row.key) for row in expired))
        await self._store.apply(Insert(SESSIONS_TABLE, _PARTITION, session.id, _encode(session)))

    async def record_use(self, session: Session) -> bool:
        """Store the time of use. Return False if the session was changed or ended meanwhile."""
        try:
            await self._store.apply(Replace(SESSIONS_TABLE, _PARTITION, session.id, _encode(session), session.etag))
        except RowChanged:
            return False
        return True

    async def delete(self, session_id: str) -> None:
        await self._store.apply(Delete(SESSIONS_TABLE, _PARTITION, session_id))


def expiry_prefix(instant: datetime) -> str:
    """Return the start of the keys of sessions that end at this instant."""
    return f"{int(instant.timestamp()):011d}"


def _encode(session: Session) -> str:
    who = session.principal
    return encode_json(
        {
            "kind": who.kind.value,
            "name": who.name,
            "role": who.role.value,
            "tags": [list(tag) for tag in who.tags],
            "key": session.key_id,
            "ends_at": session.ends_at.isoformat(),
            "used_at": session.used_at.isoformat(),
            "started_at": session.started_at and session.started_at.isoformat(),
            "address": session.address,
        }
    )


def _decode(session_id: str, body: dict[str, Any], etag: str) -> Session:
    tags = tuple((key, value) for key, value in body["tags"])
    principal = Principal(PrincipalKind(body["kind"]), body["name"], Role(body["role"]), tags)
    ends_at, used_at = datetime.fromisoformat(body["ends_at"]), datetime.fromisoformat(body["used_at"])
    started_at = datetime.fromisoformat(body["started_at"]) if body.get("started_at") else None
    return Session(session_id, principal, body["key"], ends_at, used_at, etag, started_at, body.get("address", ""))
