"""Versions of secrets, for every instance: which secrets have a new version, which expire. Used by
scheduler.features.secrets.service.

One row, so that one read is enough. It contains names of secrets that jobs use, and no values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from scheduler.stores.port import Insert, Replace, RowChanged, RowExists, Store
from scheduler.stores.rows.json_text import decode_json, encode_json

SECRETS_TABLE = "secrets"
_PARTITION, _KEY = "news", "newest"


@dataclass(frozen=True, slots=True)
class SecretExpiry:
    """Of the newest version of a secret. `at` None: the vault has not reported it."""

    at: datetime | None
    past: bool


@dataclass(frozen=True, slots=True)
class SecretVersions:
    """By name, as the vault compares names. A stamp differs for each new version."""

    stamps: Mapping[str, str] = field(default_factory=dict)
    expiring: Mapping[str, SecretExpiry] = field(default_factory=dict)

    def with_version(self, name: str, stamp: str) -> SecretVersions:
        """Return these with a new version, which makes the expiry of the former one void."""
        expiring = {each: expiry for each, expiry in self.expiring.items() if each != name}
        return SecretVersions({**self.stamps, name: stamp}, expiring)

    def with_expiry(self, name: str, expiry: SecretExpiry) -> SecretVersions:
        return replace(self, expiring={**self.expiring, name: expiry})


class SecretVersionStore:
    """Both methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self) -> SecretVersions:
        row = await self._store.get_row(SECRETS_TABLE, _PARTITION, _KEY)
        return SecretVersions() if row is None else _decode(row.body)

    async def update(self, change: Callable[[SecretVersions], SecretVersions]) -> tuple[SecretVersions, SecretVersions]:
        """Replace the versions by the result of `change`. Return those before and those after."""
        while True:
            row = await self._store.get_row(SECRETS_TABLE, _PARTITION, _KEY)
            before = SecretVersions() if row is None else _decode(row.body)
            after = change(before)
            if after == before:
                return before, after
            body = _encode(after)
            try:
                if row is None:
                    await self._store.apply(Insert(SECRETS_TABLE, _PARTITION, _KEY, body))
                else:
                    await self._store.apply(Replace(SECRETS_TABLE, _PARTITION, _KEY, body, row.etag))
            except (RowExists, RowChanged):
                continue  # another process was faster
            return before, after


def _encode(news: SecretVersions) -> str:
    expiring = {
        name: {"at": expiry.at and expiry.at.isoformat(), "past": expiry.past} for name, expiry in news.expiring.items()
    }
    return encode_json({"stamps": dict(news.stamps), "expiring": expiring})


def _decode(body: str) -> SecretVersions:
    read = decode_json(body)
    expiring = {
        name: SecretExpiry(None if each["at"] is None else datetime.fromisoformat(each["at"]), each["past"])
        for name, each in read["expiring"].items()
    }
    return SecretVersions(read["stamps"], expiring)
