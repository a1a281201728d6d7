"""API keys: one row a key, without its secret. Written by scheduler.features.access.service, read by
scheduler.authentication.

The time of the last use has a separate row, so that a use never conflicts with a change of the key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from scheduler.identity.api_keys import ApiKey
from scheduler.identity.principal import Role
from scheduler.stores.port import Insert, Replace, Row, Store, Upsert
from scheduler.stores.rows.json_text import decode_json, encode_json
from scheduler.stores.rows.paging import list_all_rows

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

    async def find(self, key_id: str) -> ApiKey | None:
        row = await self._store.get_row(API_KEYS_TABLE, _KEYS, key_id)
        return None if row is None else _decode_key(row)

    async def list_ids(self) -> frozenset[str]:
        """Return the ids of all keys, also of revoked and expired ones."""
        return frozenset(row.key for row in await list_all_rows(self._store, API_KEYS_TABLE, _KEYS, bodies=False))

    async def list_keys(self) -> Sequence[StoredKey]:
        """Return all keys, also revoked and expired ones, by name, the newest of a name first."""
        keys, uses = await asyncio.gather(self._list_rows(_KEYS), self._list_rows(_USES))
        used = {row.key: datetime.fromisoformat(decode_json(row.body)["at"]) for row in uses}
        found = [StoredKey(_decode_key(row), used.get(row.key), row.etag) for row in keys]
        found.sort(key=lambda stored: stored.key.created_at, reverse=True)
        return sorted(found, key=lambda stored: stored.key.name)

    async def has_active(self, now: datetime) -> bool:
        """Return whether a key exists that is neither revoked nor expired."""
        return any(_decode_key(row).is_active_at(now) for row in await self._list_rows(_KEYS))

    async def insert(self, key: ApiKey) -> None:
        """Store a new key. Raises RowExists."""
        await self._store.apply(Insert(API_KEYS_TABLE, _KEYS, key.id, _encode_key(key)))

    async def replace(self, stored: StoredKey, key: ApiKey) -> None:
        """Replace a key. Raises RowChanged if it has changed since it was read."""
        await self._store.apply(Replace(API_KEYS_TABLE, _KEYS, key.id, _encode_key(key), stored.etag))

    async def rotate(self, stored: StoredKey, successor: ApiKey, ends_at: datetime) -> None:
        """Store the successor of a key and give the key an end, both or neither. Raises RowChanged."""
        old = replace(stored.key, expires_at=ends_at, successor=successor.id)
        await self._store.apply(
            Replace(API_KEYS_TABLE, _KEYS, old.id, _encode_key(old), stored.etag),
            Insert(API_KEYS_TABLE, _KEYS, successor.id, _encode_key(successor)),
        )

    async def record_use(self, key_id: str, at: datetime) -> None:
        await self._store.apply(Upsert(API_KEYS_TABLE, _USES, key_id, encode_json({"at": at.isoformat()})))

    async def _list_rows(self, partition: str) -> list[Row]:
        return await list_all_rows(self._store, API_KEYS_TABLE, partition)


def decode_keys(rows: Iterable[Row]) -> list[ApiKey]:
    """Return the keys among rows of API_KEYS_TABLE, without those that no request can use: they cannot be read."""
    found = []
    for row in rows:
        if row.partition == _KEYS:
            with suppress(KeyError, TypeError, ValueError, AttributeError):
                found.append(_decode_key(row))
    return found


def _encode_key(key: ApiKey) -> str:
    body = {
        "name": key.name,
        "role": key.role.value,
        "hash": key.secret_hash,
        "created_at": key.created_at.isoformat(),
        "created_by": key.created_by,
        "tags": [list(tag) for tag in key.tags],
        "expires_at": key.expires_at and key.expires_at.isoformat(),
        "addresses": list(key.addresses),
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
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
        expires_at=_parse_instant(body.get("expires_at")),
        addresses=tuple(body.get("addresses", ())),
        revoked_at=_parse_instant(body.get("revoked_at")),
        successor=body.get("successor", ""),
    )


def _parse_instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
