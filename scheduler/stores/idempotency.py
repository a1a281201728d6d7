"""First responses to requests with an idempotency key, for repeats of these requests. Used by
scheduler.api.middleware.idempotency.

The row is inserted before the request is executed, with a lease that its process renews. Afterwards it is replaced with
the response. A row whose lease has expired without a response belongs to a process that has ended: it is unknown
whether the request took effect, so it is never executed again.

A partition holds the rows of one UTC day, so that old rows are found without reading them.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from scheduler.stores.port import MAX_PAGE, Delete, Row, RowExists, Store, Upsert
from scheduler.stores.rows import decode_json, encode_json
from scheduler.stores.table import Table

IDEMPOTENCY_TABLE: Final = "idempotency"
RESPONSE_RETENTION: Final = timedelta(hours=24)
REQUEST_LEASE: Final = timedelta(seconds=60)
MAX_STORED_CHARACTERS: Final = 600_000
"""Characters of a compressed body; JSON of several megabytes has fewer."""

_DAYS = "days"
"""The partition that lists the others."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """`body` None: it was not stored, because it is too large or contains a secret."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """`response` None: the request is in progress, or its process ended."""

    id: str
    fingerprint: str
    started_at: datetime
    lease_until: datetime
    response: StoredResponse | None = None
    etag: str = ""

    @property
    def day(self) -> str:
        return _day(self.started_at)


class IdempotencyRecords:
    """All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listed_day = ""

    async def begin(
        self, record_id: str, fingerprint: str, now: datetime
    ) -> tuple[IdempotencyRecord, IdempotencyRecord | None]:
        """Reserve the id for a request. Returns the new record, and the earlier one if the id is in use.

        With an earlier one nothing was stored. `record_id`: a hash.
        """
        new = IdempotencyRecord(record_id, fingerprint, now, now + REQUEST_LEASE)
        earlier = await self._records(_day(now - RESPONSE_RETENTION)).find(record_id)
        if earlier is not None and now - earlier.started_at < RESPONSE_RETENTION:
            return new, earlier
        await self._list_day(new.day)
        try:
            etag = await self._records(new.day).write(new.id, new, None)
        except RowExists:
            earlier = await self._records(new.day).find(record_id)
            # Without it, the first request has failed just now and can be repeated.
            return (new, earlier) if earlier is not None else await self.begin(record_id, fingerprint, now)
        return replace(new, etag=etag), None

    async def renew(self, record: IdempotencyRecord, now: datetime) -> IdempotencyRecord:
        """Extend the lease. Returns the record unchanged if it has its response meanwhile."""
        renewed = replace(record, lease_until=now + REQUEST_LEASE)
        etag = await self._records(record.day).try_write(record.id, renewed, record.etag)
        return record if etag is None else replace(renewed, etag=etag)

    async def complete(self, record: IdempotencyRecord, response: StoredResponse) -> None:
        """Store the response. Only the process that executes the request calls this."""
        await self._records(record.day).store(record.id, replace(record, response=response))

    async def release(self, record: IdempotencyRecord) -> None:
        """Remove the record: the request failed, and a repeat executes it."""
        await self._records(record.day).remove(record.id)

    async def prune(self, now: datetime) -> int:
        """Delete the records of days that are over for RESPONSE_RETENTION. Returns how many."""
        deleted = 0
        oldest = _day(now - RESPONSE_RETENTION)
        for day in await self._store.list_rows(IDEMPOTENCY_TABLE, _DAYS, until=oldest, limit=MAX_PAGE):
            deleted += await self._records(day.key).remove_range()
            await self._store.apply(Delete(IDEMPOTENCY_TABLE, _DAYS, day.key))
        return deleted

    async def _list_day(self, day: str) -> None:
        if day != self._listed_day:
            await self._store.apply(Upsert(IDEMPOTENCY_TABLE, _DAYS, day, "{}"))
            self._listed_day = day

    def _records(self, day: str) -> Table[IdempotencyRecord]:
        return Table(self._store, IDEMPOTENCY_TABLE, day, _encode, _decode)


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _encode(record: IdempotencyRecord) -> str:
    body: dict[str, Any] = {
        "fingerprint": record.fingerprint,
        "at": record.started_at.isoformat(),
        "lease_until": record.lease_until.isoformat(),
    }
    if (response := record.response) is not None:
        zipped = None if response.body is None else base64.b64encode(zlib.compress(response.body)).decode()
        body |= {"status": response.status, "headers": response.headers}
        if zipped is not None and len(zipped) <= MAX_STORED_CHARACTERS:
            body["zipped"] = zipped
    return encode_json(body)


def _decode(row: Row) -> IdempotencyRecord:
    body = decode_json(row.body)
    response = None
    if "status" in body:
        zipped = body.get("zipped")
        headers = tuple((name, value) for name, value in body["headers"])
        content = None if zipped is None else zlib.decompress(base64.b64decode(zipped))
        response = StoredResponse(body["status"], headers, content)
    return IdempotencyRecord(
        row.key,
        body["fingerprint"],
        datetime.fromisoformat(body["at"]),
        datetime.fromisoformat(body["lease_until"]),
        response,
        row.etag,
    )
