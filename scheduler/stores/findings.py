"""What one process finds out for all others: what was announced, which secrets are new, the watchdog's report.

A change of the program's version or of the set of jobs is announced by the process that replaces its row. The versions
of secrets are in one row, so that one read is enough. It contains names of secrets that jobs use, and no values. The
watchdog's newest report is for the instances of the Functions host that do not make it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from scheduler.stores.port import Insert, Replace, RowChanged, RowExists, Store, Upsert
from scheduler.stores.rows import decode_json, encode_json

ANNOUNCEMENTS_TABLE = "announcements"
_ANNOUNCEMENT_KEY = "latest"


class Announcements:
    """One row a subject."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def replace(self, subject: str, value: str, number: int = 0) -> str | None:
        """Store the value. Return the one before, "" for the first one; None if this process announces nothing: the
        value is the same, or another process has stored one with a higher `number`.

        Raises StoreError: nothing was stored.
        """
        body = encode_json({"value": value, "number": number})
        while True:
            row = await self._store.get_row(ANNOUNCEMENTS_TABLE, subject, _ANNOUNCEMENT_KEY)
            before = "" if row is None else str(decode_json(row.body)["value"])
            if row is not None and (before == value or decode_json(row.body)["number"] > number):
                return None
            place = (ANNOUNCEMENTS_TABLE, subject, _ANNOUNCEMENT_KEY, body)
            try:
                await self._store.apply(Insert(*place) if row is None else Replace(*place, row.etag))
            except (RowExists, RowChanged):
                continue  # another process replaced it: it may have announced the same
            return before


SECRETS_TABLE = "secrets"
_SECRETS_PARTITION, _SECRETS_KEY = "news", "newest"


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
        row = await self._store.get_row(SECRETS_TABLE, _SECRETS_PARTITION, _SECRETS_KEY)
        return SecretVersions() if row is None else _decode_versions(row.body)

    async def update(self, change: Callable[[SecretVersions], SecretVersions]) -> tuple[SecretVersions, SecretVersions]:
        """Replace the versions by the result of `change`. Return those before and those after."""
        while True:
            row = await self._store.get_row(SECRETS_TABLE, _SECRETS_PARTITION, _SECRETS_KEY)
            before = SecretVersions() if row is None else _decode_versions(row.body)
            after = change(before)
            if after == before:
                return before, after
            body = _encode_versions(after)
            try:
                if row is None:
                    await self._store.apply(Insert(SECRETS_TABLE, _SECRETS_PARTITION, _SECRETS_KEY, body))
                else:
                    await self._store.apply(Replace(SECRETS_TABLE, _SECRETS_PARTITION, _SECRETS_KEY, body, row.etag))
            except (RowExists, RowChanged):
                continue  # another process was faster
            return before, after


def _encode_versions(news: SecretVersions) -> str:
    expiring = {
        name: {"at": expiry.at and expiry.at.isoformat(), "past": expiry.past} for name, expiry in news.expiring.items()
    }
    return encode_json({"stamps": dict(news.stamps), "expiring": expiring})


def _decode_versions(body: str) -> SecretVersions:
    read = decode_json(body)
    expiring = {
        name: SecretExpiry(None if each["at"] is None else datetime.fromisoformat(each["at"]), each["past"])
        for name, each in read["expiring"].items()
    }
    return SecretVersions(read["stamps"], expiring)


WATCHDOG_TABLE = "watchdog"
_REPORT_PARTITION, _REPORT_KEY = "report", "newest"


class WatchdogReports:
    """One row. Both methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def save(self, text: str) -> None:
        """Store this report in place of the former one."""
        await self._store.apply(Upsert(WATCHDOG_TABLE, _REPORT_PARTITION, _REPORT_KEY, text))

    async def load(self) -> str | None:
        """Return None if none is stored."""
        row = await self._store.get_row(WATCHDOG_TABLE, _REPORT_PARTITION, _REPORT_KEY)
        return None if row is None else row.body
