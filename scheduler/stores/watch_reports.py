"""The watchdog's newest report, for the instances of the Functions host that do not make it. Used by the watchdog."""

from __future__ import annotations

from scheduler.stores.port import Put, Store

TABLE = "watchdog"
_PARTITION, _KEY = "report", "newest"


class WatchReports:
    """One row. Both methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, text: str) -> None:
        """Keep this one in place of the one before."""
        await self._store.apply(Put(TABLE, _PARTITION, _KEY, text))

    async def get(self) -> str | None:
        """None if there was none yet."""
        row = await self._store.get(TABLE, _PARTITION, _KEY)
        return None if row is None else row.body
