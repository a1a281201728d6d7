"""API keys, and sessions of browsers.

One row a key, without its secret. The time of the last use has a separate row, so that a use never conflicts with a
change of the key. One row a session, found by the hash of its cookie: its key starts with the end of the session, so
that expired rows are the first ones of their partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from scheduler.identity.api_keys import ApiKey
from scheduler.identity.principal import Principal, PrincipalKind, Role
from scheduler.stores.port import Row, Store
from scheduler.stores.rows import decode_json, encode_json, instant_text, read_instant
from scheduler.stores.table import Table

API_KEYS_TABLE = "api_keys"
_KEYS = "keys"
_USES = "uses"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with its last use and the etag of its row."""

    key: ApiKey
    last_used_at: datetime | None
    etag: str


class ApiKeys:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys = Table(store, API_KEYS_TABLE, _KEYS, _encode_key, _decode_key)
        self._uses = Table(store, API_KEYS_TABLE, _USES, _encode_use, _decode_use)

    async def find(self, key_id: str) -> ApiKey | None:
        return await self._keys.find(key_id)

    async def list_ids(self) -> frozenset[str]:
        """Return the ids of all keys, also of revoked and expired ones."""
        return frozenset(await self._keys.list_keys())

    async def list_keys(self) -> Sequence[StoredKey]:
        """Return all keys, also revoked and expired ones, by name, the newest of a name first."""
        stored, uses = await asyncio.gather(self._keys.list_stored(), self._uses.list_values())
        used_at = dict(uses)
        keys = [StoredKey(each.value, used_at.get(each.value.id), each.etag) for each in stored]
        keys.sort(key=lambda key: key.key.created_at, reverse=True)
        return sorted(keys, key=lambda key: key.key.name)

    async def has_active(self, now: datetime) -> bool:
        """Return whether a key exists that is neither revoked nor expired."""
        return any(key.is_active_at(now) for key in await self._keys.list_values())

    async def insert(self, key: ApiKey) -> None:
        """Store a new key. Raises RowExists."""
        await self._keys.write(key.id, key, None)

    async def replace(self, stored: StoredKey, key: ApiKey) -> None:
        """Replace a key. Raises RowChanged if it has changed since it was read."""
        await self._keys.write(key.id, key, stored.etag)

    async def rotate(self, stored: StoredKey, successor: ApiKey, ends_at: datetime) -> None:
        """Store the successor of a key and give the key an end, both or neither. Raises RowChanged."""
        old = replace(stored.key, expires_at=ends_at, successor=successor.id)
        await self._store.apply(self._keys.put(old.id, old, stored.etag), self._keys.put(successor.id, successor, None))

    async def record_use(self, key_id: str, at: datetime) -> None:
        await self._uses.store(key_id, (key_id, at))


def decode_keys(rows: Iterable[Row]) -> list[ApiKey]:
    """Return the keys among rows of API_KEYS_TABLE, without those that no request can use: they cannot be read."""
    keys = []
    for row in rows:
        if row.partition == _KEYS:
            with suppress(KeyError, TypeError, ValueError, AttributeError):
                keys.append(_decode_key(row))
    return keys


def _encode_use(use: tuple[str, datetime]) -> str:
    return encode_json({"at": use[1].isoformat()})


def _decode_use(row: Row) -> tuple[str, datetime]:
    return row.key, datetime.fromisoformat(decode_json(row.body)["at"])


def _encode_key(key: ApiKey) -> str:
    body = {
        "name": key.name,
        "role": key.role.value,
        "hash": key.secret_hash,
        "created_at": key.created_at.isoformat(),
        "created_by": key.created_by,
        "tags": [list(tag) for tag in key.tags],
        "expires_at": instant_text(key.expires_at),
        "addresses": list(key.addresses),
        "revoked_at": instant_text(key.revoked_at),
        "successor": key.successor,
    }
    return encode_json({name: value for name, value in body.items() if value})


def _decode_key(row: Row) -> ApiKey:
    body: Mapping[str, Any] = decode_json(row.body)
    return ApiKey(
        id=row.key,
        name=body["name"],
        role=Role(body["role"]),
        secret_hash=body["hash"],
        created_at=datetime.fromisoformat(body["created_at"]),
        created_by=body["created_by"],
        tags=tuple((key, value) for key, value in body.get("tags", ())),
        expires_at=read_instant(body.get("expires_at")),
        addresses=tuple(body.get("addresses", ())),
        revoked_at=read_instant(body.get("revoked_at")),
        successor=body.get("successor", ""),
    )


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
        self._rows = Table(store, SESSIONS_TABLE, _PARTITION, _encode, _decode)

    async def find(self, session_id: str) -> Session | None:
        return await self._rows.find(session_id)

    async def list_of(self, principal: Principal, now: datetime) -> Sequence[Session]:
        """Return the principal's sessions that have not ended, those that end first at the beginning."""
        return [session for session in await self.list_all(now) if session.principal.id == principal.id]

    async def list_all(self, now: datetime) -> Sequence[Session]:
        """Return all sessions that have not ended, those that end first at the beginning."""
        return await self._rows.list_values(after=expiry_prefix(now))

    async def insert(self, session: Session, now: datetime) -> None:
        """Store a session, and remove some that have expired."""
        await self._rows.remove_range(until=expiry_prefix(now), limit=MAX_PRUNED)
        await self._rows.write(session.id, session, None)

    async def record_use(self, session: Session) -> bool:
        """Store the time of use. Return False if the session was changed or ended meanwhile."""
        return await self._rows.try_write(session.id, session, session.etag) is not None

    async def delete(self, session_id: str) -> None:
        await self._rows.remove(session_id)


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
            "started_at": instant_text(session.started_at),
            "address": session.address,
        }
    )


def _decode(row: Row) -> Session:
    body: Mapping[str, Any] = decode_json(row.body)
    tags = tuple((key, value) for key, value in body["tags"])
    principal = Principal(PrincipalKind(body["kind"]), body["name"], Role(body["role"]), tags)
    ends_at, used_at = datetime.fromisoformat(body["ends_at"]), datetime.fromisoformat(body["used_at"])
    started_at = datetime.fromisoformat(body["started_at"]) if body.get("started_at") else None
    return Session(row.key, principal, body["key"], ends_at, used_at, row.etag, started_at, body.get("address", ""))
