"""What was announced last, for all processes: the version of the program, the set of jobs.

Used by scheduler.changes.announcing. A change is announced by the process that replaces the row.
"""

from __future__ import annotations

from scheduler.stores.port import Insert, Replace, RowChanged, RowExists, Store
from scheduler.stores.rows import decode_json, encode_json

ANNOUNCEMENTS_TABLE = "announcements"
_KEY = "latest"


class Announcements:
    """One row a subject."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def replace(self, subject: str, value: str, number: int = 0) -> str | None:
        """Store the value. Return the one before, "" for the first one; None if this process announces nothing: the
        value is the same, or another process has stored one with a higher `number`.

        Raises StoreError: nothing was stored.
        """
        body = encode_json({"value": value, "number": number})
        while True:
            row = await self._store.get_row(ANNOUNCEMENTS_TABLE, subject, _KEY)
            before = "" if row is None else str(decode_json(row.body)["value"])
            if row is not None and (before == value or decode_json(row.body)["number"] > number):
                return None
            place = (ANNOUNCEMENTS_TABLE, subject, _KEY, body)
            try:
                await self._store.apply(Insert(*place) if row is None else Replace(*place, row.etag))
            except (RowExists, RowChanged):
                continue  # another process replaced it: it may have announced the same
            return before
