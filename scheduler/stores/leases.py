"""Which process leads those that share a store: one row, which the leader replaces every few seconds.

No process compares wall clocks: each measures by its monotonic clock how long the row is unchanged, and replaces it
by the etag that it has read, so that of several processes one succeeds.
"""

from __future__ import annotations

from scheduler.stores.port import Store
from scheduler.stores.rows import decode_body, encode_json
from scheduler.stores.table import Stored, Table

LEASES_TABLE = "leases"
_PARTITION, _KEY = "hosts", "leader"


class LeaderRow:
    """Both methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._rows: Table[dict[str, str]] = Table(store, LEASES_TABLE, _PARTITION, encode_json, decode_body)

    async def read(self) -> Stored[str] | None:
        """Return the leader, "" if it has resigned, with the etag; None if there was never one."""
        found = await self._rows.get(_KEY)
        return None if found is None else Stored(found.value["owner"], found.etag)

    async def write(self, owner: str, etag: str | None) -> str | None:
        """Replace the row of this etag. Return the new etag; None if another process was first."""
        return await self._rows.try_write(_KEY, {"owner": owner}, etag)
