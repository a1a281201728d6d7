"""Stores the circuits' states. Implements jobs.ports.CircuitStateStore."""

from __future__ import annotations

from scheduler.stores.port import Insert, Replace, RowChanged, RowExists, Store

CIRCUITS_TABLE = "circuits"
_STATE_KEY = "state"


class StoredCircuits:
    """One row a circuit, in a separate partition each, so that busy circuits do not compete."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self, key: str) -> tuple[str | None, str | None]:
        """Return the stored text and its etag; (None, None) if none is stored. Raises StoreUnavailable."""
        row = await self._store.get_row(CIRCUITS_TABLE, key, _STATE_KEY)
        return (None, None) if row is None else (row.body, row.etag)

    async def replace(self, key: str, state: str, etag: str | None) -> bool:
        """Return False unless the stored state has this `etag` (None: none is stored). Raises StoreUnavailable."""
        change = (
            Insert(CIRCUITS_TABLE, key, _STATE_KEY, state)
            if etag is None
            else Replace(CIRCUITS_TABLE, key, _STATE_KEY, state, etag)
        )
        try:
            await self._store.apply(change)
        except (RowExists, RowChanged):
            return False
        return True
