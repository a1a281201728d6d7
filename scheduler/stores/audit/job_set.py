"""The set of job files that the audit trail recorded last. Used by scheduler.audit.stored_trail."""

from __future__ import annotations

from scheduler.stores.audit.log import AUDIT_TABLE
from scheduler.stores.port import Store, Upsert
from scheduler.stores.rows.json_text import decode_json, encode_json

_PARTITION, _KEY = "jobs", "digest"


class RecordedJobSet:
    """Both methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self) -> str:
        """Return the digest of the set; empty if none was recorded."""
        row = await self._store.get_row(AUDIT_TABLE, _PARTITION, _KEY)
        return "" if row is None else str(decode_json(row.body)["digest"])

    async def write(self, digest: str) -> None:
        await self._store.apply(Upsert(AUDIT_TABLE, _PARTITION, _KEY, encode_json({"digest": digest})))
