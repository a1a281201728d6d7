"""The watchdog's newest report, for the instances of the Functions host that do not make it. Used by the watchdog."""

from __future__ import annotations

from scheduler.stores.port import Store, Upsert

WATCHDOG_TABLE = "watchdog"
_PARTITION, _KEY = "report", "newest"


class WatchdogReports:
    """One row. Both methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def save(self, text: str) -> None:
        """Store this report in place of the former one."""
        await self._store.apply(Upsert(WATCHDOG_TABLE, _PARTITION, _KEY, text))

    async def load(self) -> str | None:
        """Return None if none is stored."""
        row = await self._store.get_row(WATCHDOG_TABLE, _PARTITION, _KEY)
        return None if row is None else row.body
