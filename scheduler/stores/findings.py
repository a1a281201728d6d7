"""What one process finds out for all others: what was announced, which secrets are new, the watchdog's report.

A change of the program's version or of the set of jobs is announced by the process that replaces its row. The versions
of secrets are in one row, so that one read is enough. It contains names of secrets that jobs use, and no values. The
watchdog's newest report is for the instances of the Functions host that do not make it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from scheduler.stores.port import Row, Store, Upsert
from scheduler.stores.rows import decode_body, decode_json, encode_json, instant_text, read_instant
from scheduler.stores.table import Table

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

        def decide(stored: dict[str, Any] | None) -> dict[str, Any] | None:
            is_announced = stored is not None and (stored["value"] == value or stored["number"] > number)
            return None if is_announced else {"value": value, "number": number}

        rows: Table[dict[str, Any]] = Table(self._store, ANNOUNCEMENTS_TABLE, subject, encode_json, decode_body)
        before, announced = await rows.update(_ANNOUNCEMENT_KEY, decide)
        return None if announced is None else str(before["value"]) if before is not None else ""


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
        expiring = {other: expiry for other, expiry in self.expiring.items() if other != name}
        return SecretVersions({**self.stamps, name: stamp}, expiring)

    def with_expiry(self, name: str, expiry: SecretExpiry) -> SecretVersions:
        return replace(self, expiring={**self.expiring, name: expiry})


class SecretVersionStore:
    """Both methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._rows = Table(store, SECRETS_TABLE, _SECRETS_PARTITION, _encode_versions, _decode_versions)

    async def read(self) -> SecretVersions:
        return await self._rows.find(_SECRETS_KEY) or SecretVersions()

    async def update(self, change: Callable[[SecretVersions], SecretVersions]) -> tuple[SecretVersions, SecretVersions]:
        """Replace the versions by the result of `change`. Return those before and those after."""

        def decide(stored: SecretVersions | None) -> SecretVersions | None:
            versions = stored or SecretVersions()
            changed = change(versions)
            return None if changed == versions else changed

        stored, changed = await self._rows.update(_SECRETS_KEY, decide)
        before = stored or SecretVersions()
        return before, changed or before


def _encode_versions(versions: SecretVersions) -> str:
    expiring = {
        name: {"at": instant_text(expiry.at), "past": expiry.past} for name, expiry in versions.expiring.items()
    }
    return encode_json({"stamps": dict(versions.stamps), "expiring": expiring})


def _decode_versions(row: Row) -> SecretVersions:
    body = decode_json(row.body)
    expiring = {
        name: SecretExpiry(read_instant(expiry["at"]), expiry["past"]) for name, expiry in body["expiring"].items()
    }
    return SecretVersions(body["stamps"], expiring)


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
