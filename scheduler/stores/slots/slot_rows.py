"""The rows of slots. Used by slots.repository."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.stores.port import Row
from scheduler.stores.rows import decode_json, encode_json

SLOTS_TABLE = "slots"
FREE_BODY = "{}"


@dataclass(frozen=True, slots=True)
class HeldSlot:
    """A slot of this process's run. `lease`: by how much a renewal extends it."""

    group: str
    number: str
    run_id: str
    until: datetime
    etag: str
    lease: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class SlotRow:
    """`run_id` is "" for a free slot."""

    number: str
    run_id: str
    owner: str
    until: datetime
    etag: str

    @staticmethod
    def from_row(row: Row) -> SlotRow:
        body = decode_json(row.body)
        if not body:
            return SlotRow(row.key, "", "", datetime.min, row.etag)
        return SlotRow(row.key, body["run"], body["owner"], datetime.fromisoformat(body["until"]), row.etag)

    def is_live(self, now: datetime) -> bool:
        return self.run_id != "" and self.until > now


def numbers_in_order(limit: int, run_id: str) -> Iterator[str]:
    """Yield all numbers of a group, from another one on for each run, so that concurrent runs do not compete."""
    start = zlib.crc32(run_id.encode()) % limit
    return (f"{(start + step) % limit:04d}" for step in range(limit))


def encode_slot(run_id: str, owner: str, lease_until: datetime) -> str:
    """Return the body of a slot that the run holds until then."""
    return encode_json({"run": run_id, "owner": owner, "until": lease_until.isoformat()})
