"""Cancellations: runs that somebody wants ended, for the process that performs them. Asked for by operations,
looked at by workers, for runs that last longer than a few seconds.

One row a run, in one partition, removed once the run is over: mostly there is none, and one read tells that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from scheduler.stores.port import LARGEST_PAGE, Delete, Store, Upsert

CANCELLATIONS_TABLE = "cancellations"
_PARTITION = "runs"
CANCELLATION_LIFETIME = timedelta(hours=1)
"""No run takes that long: the process that should have seen it is gone."""


class Cancellations:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def request(self, run_id: str, source: str, now: datetime) -> None:
        """Let the process that performs the run end it. `asked`: how it was asked for, such as `over the API`."""
        body = json.dumps({"asked": source, "at": now.isoformat()})
        await self._store.apply(Upsert(CANCELLATIONS_TABLE, _PARTITION, run_id, body))

    async def list_requested(self, now: datetime) -> Mapping[str, str]:
        """How each run's end was asked for, by the run's id. What is too old to matter is removed."""
        rows = await self._store.list_rows(CANCELLATIONS_TABLE, _PARTITION, limit=LARGEST_PAGE)
        found: dict[str, str] = {}
        for row in rows:
            body = json.loads(row.body)
            if now - datetime.fromisoformat(body["at"]) > CANCELLATION_LIFETIME:
                await self.remove(row.key)
            else:
                found[row.key] = body["asked"]
        return found

    async def remove(self, run_id: str) -> None:
        """The run is over; nothing happens if there was no row."""
        await self._store.apply(Delete(CANCELLATIONS_TABLE, _PARTITION, run_id))
