"""Keeps the circuits' states. Implements jobs.ports.CircuitStateStore above the store."""

from __future__ import annotations

from scheduler.stores.port import Insert, Replace, RowChanged, RowExists, Store

CIRCUITS_TABLE = "circuits"
_STATE_KEY = "state"


class StoredCircuits:
    """One row a circuit, in a partition of its own, so that busy circuits do not meet."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self, key: str) -> tuple[str | None, str | None]:
        """The stored text and its etag; (None, None) if there is none. Raises StoreUnavailable."""
        row = await self._store.get_row(CIRCUITS_TABLE, key, _STATE_KEY)
        return (None, None) if row is None else (row.body, row.etag)

    async def replace(self, key: str, state: str, etag: str | None) -> bool:
        """False if the stored state is another one than that of `etag` (None: than none). Raises StoreUnavailable."""
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
