"""Cancellations: requests to end a run, for the process that performs it. Written by operations, read by workers for
runs that last longer than a few seconds.

One row a run, in one partition, removed when the run is over: mostly the partition is empty, which one read shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from scheduler.stores.port import LARGEST_PAGE, Delete, Store, Upsert
from scheduler.stores.rows import decode_json, encode_json

CANCELLATIONS_TABLE = "cancellations"
_PARTITION = "runs"
CANCELLATION_LIFETIME = timedelta(hours=1)
"""No run lasts that long: the process that should have read the row has ended."""


class Cancellations:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def request(self, run_id: str, source: str, now: datetime) -> None:
        """Let the process that performs the run end it. `source`: how the request came, such as `over the API`."""
        body = encode_json({"asked": source, "at": now.isoformat()})
        await self._store.apply(Upsert(CANCELLATIONS_TABLE, _PARTITION, run_id, body))

    async def list_requested(self, now: datetime) -> Mapping[str, str]:
        """Return the source of each request, by the run's id. Expired rows are removed."""
        rows = await self._store.list_rows(CANCELLATIONS_TABLE, _PARTITION, limit=LARGEST_PAGE)
        requests: dict[str, str] = {}
        for row in rows:
            body = decode_json(row.body)
            if now - datetime.fromisoformat(body["at"]) > CANCELLATION_LIFETIME:
                await self.remove(row.key)
            else:
                requests[row.key] = body["asked"]
        return requests

    async def remove(self, run_id: str) -> None:
        """Remove the request: the run is over. Does nothing if there is no row."""
        await self._store.apply(Delete(CANCELLATIONS_TABLE, _PARTITION, run_id))
